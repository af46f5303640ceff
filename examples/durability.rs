//! Shows which records a Redis server still has after `kill -9`, by its configuration.
//!
//! ```sh
//! cargo run --release --example durability --features redis
//! ```
//!
//! For each configuration it starts a `redis-server` on the loopback interface and records completed deliveries
//! from 64 tasks for a second. It kills the server while they write, starts it again, and checks every record
//! that was acknowledged.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, Owner, RedisStore};
use tokio::task::JoinSet;
use tokio::time::sleep;

const TASKS: usize = 64;
const WRITING: Duration = Duration::from_secs(1);
const KEEP: Duration = Duration::from_secs(86_400);

const CONFIGURATIONS: [(&str, &[&str]); 4] = [
    ("no persistence", &["--save", "", "--appendonly", "no"]),
    ("default (snapshots)", &[]),
    ("appendfsync everysec", &["--appendonly", "yes", "--appendfsync", "everysec"]),
    ("appendfsync always", &["--appendonly", "yes", "--appendfsync", "always"]),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Ok(version) = Command::new("redis-server").arg("--version").output() else {
        println!(
            "skipped: redis-server is not installed; to have it: apt-get install redis-server"
        );
        return Ok(());
    };
    let version = String::from_utf8_lossy(&version.stdout);
    println!("{}\n", version.split(" sha").next().unwrap_or_default());
    println!("| configuration | acknowledged | lost by kill -9 |");
    println!("|---|---|---|");
    for (name, arguments) in CONFIGURATIONS {
        let (acknowledged, lost) = measure(arguments).await?;
        println!("| {name} | {acknowledged} | {lost} |");
    }
    println!(
        "\nkill -9 ends the server, not the machine: what it wrote is in the kernel's hands. If the machine\n\
         loses power, `everysec` may lose about the last second, `always` nothing that the disk kept."
    );
    Ok(())
}

async fn measure(arguments: &[&str]) -> Result<(usize, usize), Box<dyn Error>> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let directory = std::env::temp_dir().join(format!("durability-{port}"));
    std::fs::create_dir_all(&directory)?;
    let store = RedisStore::new(&format!("redis://127.0.0.1:{port}"))?;

    let server = start(port, &directory, arguments)?;
    until_ready(&store).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..TASKS {
        writers.spawn(write_until_refused(store.clone(), Arc::clone(&next)));
    }
    sleep(WRITING).await;
    // `kill -9` while records are being written.
    drop(server);
    let acknowledged: Vec<Key> = writers.join_all().await.into_iter().flatten().collect();

    let _server = start(port, &directory, arguments)?;
    until_ready(&store).await?;
    let mut lost = 0;
    for key in &acknowledged {
        let found = store.claim(key, Owner::random(), KEEP, KEEP).await?;
        lost += usize::from(found != Claim::Completed);
    }
    drop(_server);
    std::fs::remove_dir_all(&directory)?;
    Ok((acknowledged.len(), lost))
}

/// Returns the keys whose completion was acknowledged.
async fn write_until_refused(store: RedisStore, next: Arc<AtomicU64>) -> Vec<Key> {
    let mut acknowledged = Vec::new();
    loop {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let key = Key::from_bytes(key).to_owned();
        if store.complete(&key, Owner::random(), Fence::new(1), KEEP).await.is_err() {
            return acknowledged;
        }
        acknowledged.push(key);
    }
}

async fn until_ready(store: &RedisStore) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    while let Err(error) = store.ready().await {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(error.into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A server that is killed on drop.
struct Server(Child);

fn start(port: u16, directory: &Path, arguments: &[&str]) -> std::io::Result<Server> {
    let port = port.to_string();
    let server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port, "--dir"])
        .arg(directory)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()?;
    Ok(Server(server))
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
