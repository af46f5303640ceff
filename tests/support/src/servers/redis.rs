//! A Redis on a free port, which can be killed and frozen, and ends with the test process.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::free_port;

/// Runs the command until standard input ends, so that it never outlives the test process. The first line of
/// output is its process id.
const LEASH: &str =
    r#""$@" </dev/null >/dev/null 2>&1 & echo $!; exec >/dev/null; cat; kill -9 $!; wait"#;

/// Whether `redis-server` is installed. If not, prints once what is skipped, past the test harness, or fails
/// with `REQUIRE_SERVERS=1`.
pub fn is_installed() -> bool {
    let version = Command::new("redis-server").arg("--version").output();
    let installed = version.is_ok_and(|version| version.status.success());
    if !installed {
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "redis-server is not installed");
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            _ = writeln!(
                std::io::stderr(),
                "skipped: everything that needs Redis; to have it: apt-get install redis-server"
            );
        });
    }
    installed
}

/// A server on the loopback interface.
pub struct RedisServer {
    pub port: u16,
    pub directory: PathBuf,
    arguments: Vec<String>,
    running: Option<(Child, u32)>,
}

/// The arguments of a server that forgets everything when it is killed.
pub const FORGETFUL: &[&str] = &["--save", "", "--appendonly", "no"];
/// The arguments of a server that forgets nothing when it is killed.
pub const DURABLE: &[&str] = &["--save", "", "--appendonly", "yes", "--appendfsync", "always"];

impl RedisServer {
    /// Starts a server. Returns `None` where Redis is not installed.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let mut server = Self::stopped(arguments)?;
        server.run();
        Some(server)
    }

    /// A server with its port that is not running yet.
    pub fn stopped(arguments: &[&str]) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("webhook-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let port = free_port();
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Some(Self { port, directory, arguments, running: None })
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts the server and waits until it answers.
    pub fn run(&mut self) {
        assert!(self.running.is_none(), "it is running");
        // A sentinel requires a configuration file.
        let file = Some(self.directory.join("sentinel.conf")).filter(|file| file.exists());
        let mut leash = Command::new("sh")
            .args(["-c", LEASH, "leash", "redis-server"])
            .args(file)
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--logfile", "log", "--dir"])
            .arg(&self.directory)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut id = String::new();
        BufReader::new(leash.stdout.take().unwrap()).read_line(&mut id).unwrap();
        self.running = Some((leash, id.trim().parse().unwrap()));
        let began = Instant::now();
        while !self.answers() {
            if began.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                panic!("redis-server does not start: {log}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the server with `kill -9`.
    pub fn kill(&mut self) {
        if let Some((mut leash, _)) = self.running.take() {
            drop(leash.stdin.take());
            leash.wait().unwrap();
            // The kernel may need a moment to close its sockets.
            while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    pub fn cpu_time(&self) -> Duration {
        let (_, process) = self.running.as_ref().unwrap();
        super::cpu_time(&[process.to_string()])
    }

    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends a command on a new connection and returns the answer.
    pub fn ask(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)
    }

    fn answers(&self) -> bool {
        // Sentinels and cluster nodes also answer PING.
        self.ask(&["PING"]).is_ok()
    }

    fn signal(&self, signal: &str) {
        let (_, id) = self.running.as_ref().unwrap();
        let kill = format!("kill -{signal} {id}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        _ = std::fs::remove_dir_all(&self.directory);
    }
}
