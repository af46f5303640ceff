//! A PostgreSQL on a free port, with its data in a folder that is deleted on drop.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::free_port;

pub const PASSWORD: &str = "canary_4f1d09b7";

/// The folder of its programs. Where they are missing, the tests that need them pass without doing anything,
/// and one line says so.
pub fn programs() -> Option<&'static Path> {
    static PROGRAMS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAMS.get_or_init(|| {
        // Debian installs them outside of the path, by version.
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .collect();
        versions.sort();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = versions
            .into_iter()
            .rev()
            .chain(std::env::split_paths(&path))
            .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
        if found.is_none() {
            let text = "skipped: all tests against PostgreSQL, which is not installed \
                        (Debian: apt-get install postgresql)";
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "{text}");
            // Not through `println`, whose output is hidden when a test passes.
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
        }
        found
    });
    found.as_deref()
}

/// A shell script. For root it runs as another user, because PostgreSQL refuses to run as root.
fn shell(script: &str, arguments: &[&str]) -> Command {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let mut command = Command::new(if is_root { "runuser" } else { "sh" });
    if is_root {
        command.args(["-u", "postgres", "--", "sh"]);
    }
    command.args(["-c", script, "sh"]).args(arguments).env("LC_ALL", "C").current_dir("/");
    command
}

/// A cluster created by `initdb`, which is created once and copied for each server.
fn template() -> &'static str {
    static TEMPLATE: OnceLock<(String, Child)> = OnceLock::new();
    let (path, _) = TEMPLATE.get_or_init(|| {
        // Like a server, it ends with this process, for whatever reason.
        let script = r#"
            # Not scram: its thousands of hashes take a debug build longer than all the rest.
            data=$(mktemp -d /tmp/scrapest-webhook-initdb-XXXXXX)
            echo "$2" >"$data.password"
            "$1/initdb" -D "$data" -U app --pwfile="$data.password" --auth=password --no-sync >/dev/null
            echo "$data"
            read -r _
            # By now this is also over for the servers on copies of it.
            sleep 1
            rm -rf "$data"*"#;
        let programs = programs().unwrap().to_str().unwrap();
        let mut keeper = shell(script, &[programs, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut path = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut path).unwrap();
        (path.trim().to_owned(), keeper)
    });
    path
}

pub struct Postgres {
    data: String,
    port: u16,
    settings: Vec<String>,
    running: Option<Running>,
}

struct Running {
    shell: Child,
    /// It is also closed when this process ends, which makes the script stop the server.
    _lifeline: ChildStdin,
    postmaster: String,
}

impl Postgres {
    /// Starts a server with these settings, such as `max_connections=10`, in addition to the common ones.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let mut server = Self::stopped(settings)?;
        server.run();
        Some(server)
    }

    pub fn stopped(settings: &[&str]) -> Option<Self> {
        programs()?;
        let port = free_port();
        let data = format!("{}-{port}", template());
        let copied = shell(r#"cp -a "$1" "$2""#, &[template(), &data]).status().unwrap();
        assert!(copied.success());
        let mut all: Vec<_> = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "superuser_reserved_connections=0",
            // Only the server is killed, not the machine.
            "fsync=off",
        ]
        .map(str::to_owned)
        .into();
        all.push(format!("port={port}"));
        all.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Some(Self { data, port, settings: all, running: None })
    }

    /// Starts a hot standby of this server with these settings in addition to the common ones. It follows from
    /// now on and is read-only.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let mut standby = Self::stopped(settings).unwrap();
        let script = r#"
            rm -rf "$2"
            PGPASSWORD="$4" exec "$1/pg_basebackup" -D "$2" -h 127.0.0.1 -p "$3" -U app -R -X stream \
                --checkpoint=fast --no-sync"#;
        let programs = programs().unwrap().to_str().unwrap();
        let port = self.port.to_string();
        let copied = shell(script, &[programs, &standby.data, &port, PASSWORD]).status().unwrap();
        assert!(copied.success());
        standby.run();
        standby
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// Starts or restarts it, and waits until it answers.
    pub fn run(&mut self) {
        let script = r#"
            programs=$1 data=$2; shift 2
            # Emptied before it starts: an older one also says that it is ready.
            : >"$data/log"
            "$programs/postgres" -D "$data" "$@" >>"$data/log" 2>&1 </dev/null &
            server=$!
            echo "$server"
            read -r _
            kill -QUIT "$server" 2>/dev/null
            wait "$server" 2>/dev/null"#;
        let since = Instant::now();
        loop {
            let mut arguments = vec![programs().unwrap().to_str().unwrap(), self.data.as_str()];
            for setting in &self.settings {
                arguments.extend(["-c", setting]);
            }
            let mut shell = shell(script, &arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut postmaster = String::new();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut postmaster).unwrap();
            let postmaster = postmaster.trim().to_owned();
            let lifeline = shell.stdin.take().unwrap();
            let running = Running { shell, _lifeline: lifeline, postmaster };
            // It does not start until the last process of a killed server has ended.
            while running.lives() {
                let log = self.log();
                if log.contains("ready to accept") {
                    self.running = Some(running);
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
                assert!(since.elapsed() < Duration::from_secs(60), "it does not start: {log}");
            }
        }
    }

    /// Its log since the last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(format!("{}/log", self.data)).unwrap_or_default()
    }

    /// Kills the server and all its processes with `kill -9`, so that unwritten data is lost.
    pub fn kill(&mut self) {
        let running = self.running.take().unwrap();
        let mut processes = running.processes();
        // The postmaster first, because it restarts the others.
        processes.insert(0, running.postmaster.clone());
        signal("KILL", &processes);
        while processes.iter().any(|process| lives(process)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn cpu_time(&self) -> Duration {
        super::cpu_time(&self.running.as_ref().unwrap().processes())
    }

    /// Stops all its processes until [`thaw`](Self::thaw).
    pub fn freeze(&self) {
        signal("STOP", &self.running.as_ref().unwrap().processes());
    }

    pub fn thaw(&self) {
        signal("CONT", &self.running.as_ref().unwrap().processes());
    }
}

impl Running {
    fn lives(&self) -> bool {
        lives(&self.postmaster)
    }

    fn processes(&self) -> Vec<String> {
        let postmaster = &self.postmaster;
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        std::iter::once(postmaster.clone()).chain(children).collect()
    }
}

/// Whether there is such a process, not counting zombies.
fn lives(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn signal(name: &str, processes: &[String]) {
    // Some may have ended in the meantime.
    let _ =
        Command::new("kill").arg(format!("-{name}")).args(processes).stderr(Stdio::null()).status();
}

impl Drop for Running {
    fn drop(&mut self) {
        signal("KILL", &self.processes());
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.running = None;
        let _ = std::fs::remove_dir_all(&self.data);
    }
}
