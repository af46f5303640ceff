//! A server in a separate process, so that its CPU time and memory can be measured.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;

use crate::SECRET;

/// Serves at `$PORT` until the process is killed.
pub fn serve(router: Router) {
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

/// A listening process, which is killed on drop.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// Starts a server that listens at `$PORT` and uses `$SECRET`. The error says why it does not listen.
    pub fn start(command: &mut Command, port: u16) -> Result<Self, String> {
        let command = command.env("SECRET", SECRET).env("PORT", port.to_string());
        let child = command.stdout(Stdio::null()).spawn();
        let name = command.get_program().to_string_lossy();
        let child = child.map_err(|error| format!("{name} cannot be started: {error}"))?;
        let mut server = Self { child, port };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait().unwrap() {
                return Err(format!("{name} has ended: {status}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("{name} does not listen"))
    }

    /// Starts this program again with arguments that make it [`serve`].
    pub fn this(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::start(command.args(arguments), free_port()).unwrap()
    }

    /// The CPU time of its threads in user and kernel mode, in nanoseconds; see
    /// Documentation/scheduler/sched-stats.rst of the kernel.
    pub fn cpu_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let time = |thread: std::io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
        };
        threads.map(time).sum()
    }

    pub fn resident(&self) -> usize {
        resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The resident memory of a process in bytes, counted by page.
pub fn resident(process: u32) -> usize {
    let pages = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = pages.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
