//! Through PgBouncer in transaction mode.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use support::servers::postgres::{PASSWORD, Postgres};
use support::{Folder, free_port};

use super::*;

struct PgBouncer {
    process: Child,
    port: u16,
    _folder: Folder,
}

impl PgBouncer {
    /// `None` where it is not installed.
    fn start(server: &Postgres) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists());
        let Some(program) = program else {
            let text = "skipped: the queue through PgBouncer, which is not installed";
            assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "{text}");
            _ = writeln!(std::io::stderr(), "{text} (Debian: apt-get install pgbouncer)");
            return None;
        };
        let (folder, port) = (Folder::new(), free_port());
        let users = folder.write("users.txt", format!("\"app\" \"{PASSWORD}\"\n"));
        let settings = folder.write(
            "pgbouncer.ini",
            format!(
                "[databases]\npostgres = host=127.0.0.1 port={} dbname=postgres\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = plain\nauth_file = {users}\npool_mode = transaction\n\
                 default_pool_size = 3\nserver_reset_query_always = 0\n",
                server.port()
            ),
        );
        // It refuses to be root.
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let mut command = Command::new(if is_root { "setpriv" } else { program });
        if is_root {
            command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", program]);
        }
        let log = std::fs::File::create(folder.file("log")).unwrap();
        let process = command.arg(settings).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = std::fs::read_to_string(folder.file("log")).unwrap_or_default();
            assert!(since.elapsed() < EVENTUALLY, "it does not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { process, port, _folder: folder })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_works_through_pgbouncer_in_transaction_mode() {
    let Some(server) = tokio::task::block_in_place(|| Postgres::start(&[])) else { return };
    let Some(pooler) = tokio::task::block_in_place(|| PgBouncer::start(&server)) else { return };
    let queue = Queue::open(&server.url_through(pooler.port)).await.unwrap();
    queue.ready().await.unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let act = {
        let attempts = Arc::clone(&attempts);
        move |job: Job| {
            attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                match job.attempt() {
                    1 => Err(scrapest_webhook::queue::JobError::new("once more")),
                    _ => Ok(()),
                }
            }
        }
    };
    let working = Working::start(&queue, |worker| worker, act);
    // More at once than the pooler has connections.
    let pushing = (0..60).map(|number| {
        let queue = queue.clone();
        tokio::spawn(async move { push(&queue, &format!("pooled {number}")).await })
    });
    for push in pushing.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    let done = until(&queue, |jobs| {
        jobs.len() == 60 && jobs.iter().all(|job| job.state == JobState::Done)
    });
    assert!(done.await.iter().all(|job| job.failed == 1));
    assert_eq!(attempts.load(Ordering::SeqCst), 120);
    assert!(working.stop().await);
}
