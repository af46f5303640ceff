//! A PgBouncer in front of a PostgreSQL, on a free port.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::postgres::PASSWORD;
use crate::{Folder, free_port};

pub struct PgBouncer {
    process: Child,
    pub port: u16,
    folder: Folder,
    /// The content of its file, except for the address of the server.
    settings: String,
    /// The id of the pooler process.
    id: String,
}

impl PgBouncer {
    /// Starts one with the pool mode "session", "transaction" or "statement" and this number of connections to
    /// the server at this port. Returns `None` where PgBouncer is not installed.
    pub fn start(server: u16, pool_mode: &str, connections: usize) -> Option<Self> {
        let programs = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = programs.into_iter().find(|path| Path::new(path).exists()) else {
            let text = "skipped: what goes through PgBouncer, which is not installed";
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "{text}");
            _ = writeln!(std::io::stderr(), "{text} (Debian: apt-get install pgbouncer)");
            return None;
        };
        let (folder, port) = (Folder::new(), free_port());
        let users = folder.write("users.txt", format!("\"app\" \"{PASSWORD}\"\n"));
        let settings = format!(
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = plain\nauth_file = {users}\npool_mode = {pool_mode}\n\
             default_pool_size = {connections}\nserver_reset_query_always = 0\n\
             server_login_retry = 1\n"
        );
        let file = write(&folder, server, &settings);
        // PgBouncer refuses to run as root.
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        // PgBouncer is killed when this process ends, for whatever reason.
        const LEASH: &str =
            r#""$@" </dev/null >/dev/null & echo $!; exec >/dev/null; cat; kill -9 $!; wait"#;
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "leash"]);
        if is_root {
            command.args([
                "setpriv",
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--clear-groups",
            ]);
        }
        let log = std::fs::File::create(folder.file("log")).unwrap();
        command.args([program, &file]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().unwrap();
        let mut id = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut id).unwrap();
        let pooler = Self { process, port, folder, settings, id: id.trim().to_owned() };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "it does not start: {}",
                pooler.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(pooler)
    }

    /// Connects to another server from now on, as after a failover.
    pub fn lead_to(&self, server: u16) {
        write(&self.folder, server, &self.settings);
        // PgBouncer reloads its file.
        assert!(Command::new("kill").args(["-HUP", &self.id]).status().unwrap().success());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }
}

fn write(folder: &Folder, server: u16, settings: &str) -> String {
    let database =
        format!("[databases]\npostgres = host=127.0.0.1 port={server} dbname=postgres\n");
    folder.write("pgbouncer.ini", database + settings)
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        _ = self.process.wait();
    }
}
