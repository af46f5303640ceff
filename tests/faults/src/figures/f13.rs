//! F13: deliveries into a queue, while its receiver, its workers and its database are killed at random. Each
//! delivery that was answered with 2xx is done, no job is dead, and each duplicate effect is explained by a
//! lost run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use scrapest_webhook::queue::{JobRecord, JobState, Queue};
use support::Folder;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Options, Violations};
use crate::queue::{Process, Role};
use crate::sender::SCRAPEST;
use crate::servers::{Server, Store};

struct Size {
    deliveries: usize,
    /// Kills of each: the receiver, the workers, and the database.
    kills: usize,
    /// The time between two kills.
    apart: std::ops::Range<u64>,
}

const FULL: Size = Size { deliveries: 10_000, kills: 50, apart: 200..700 };
const SHORT: Size = Size { deliveries: 400, kills: 3, apart: 200..700 };
/// The number of deliveries in flight.
const SENDING: usize = 8;
const WORKERS: usize = 2;
/// The time limit for everything, on a busy machine.
const DRAINED: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
enum Victim {
    Receiver,
    Worker,
    Database,
}

pub async fn run(options: &Options) -> Result<Violations> {
    let mut violations = Vec::new();
    for &store in &options.stores {
        if matches!(store, Store::Sqlite | Store::Postgres) {
            let size = if options.full { FULL } else { SHORT };
            violations.extend(one(options, store, &size).await?);
        }
    }
    Ok(violations)
}

struct Scene {
    server: Server,
    receiver: Process,
    workers: Vec<Process>,
    journal: PathBuf,
    log: PathBuf,
    address: watch::Sender<SocketAddr>,
    _folder: Folder,
}

impl Scene {
    fn new(store: Store) -> Result<Self> {
        let folder = Folder::new();
        let server = store.start(&folder)?;
        let [journal, log] = ["journal", "log"].map(|name| PathBuf::from(folder.file(name)));
        let receiver = Process::start(Role::Accept, &server.url(), &journal, &log)?;
        let workers = (0..WORKERS)
            .map(|_| Process::start(Role::Work, &server.url(), &journal, &log))
            .collect::<Result<_>>()?;
        let address = watch::Sender::new(receiver.address);
        Ok(Self { server, receiver, workers, journal, log, address, _folder: folder })
    }

    fn kill(&mut self, victim: Victim, place: usize) -> Result<()> {
        let url = self.server.url();
        match victim {
            Victim::Receiver => {
                self.receiver.kill()?;
                self.receiver = Process::start(Role::Accept, &url, &self.journal, &self.log)?;
                self.address.send_replace(self.receiver.address);
            }
            Victim::Worker => {
                let worker = &mut self.workers[place % WORKERS];
                worker.kill()?;
                *worker = Process::start(Role::Work, &url, &self.journal, &self.log)?;
            }
            Victim::Database => {
                self.server.kill();
                self.server.run();
            }
        }
        Ok(())
    }
}

async fn one(options: &Options, store: Store, size: &Size) -> Result<Violations> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut scene = tokio::task::block_in_place(|| Scene::new(store))?;
    let (began, sent) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let killing = Arc::new(AtomicBool::new(true));
    let senders: Vec<_> = (0..SENDING)
        .map(|lane| {
            let ids = (lane..size.deliveries).step_by(SENDING);
            let (sent, killing) = (Arc::clone(&sent), Arc::clone(&killing));
            tokio::spawn(send(ids, size.deliveries, scene.address.subscribe(), sent, killing))
        })
        .collect();

    let mut victims = [Victim::Receiver, Victim::Worker].repeat(size.kills);
    if store != Store::Sqlite {
        victims.extend(std::iter::repeat_n(Victim::Database, size.kills));
    }
    victims.shuffle(&mut random);
    let mut worker_kills = 0;
    for (place, victim) in victims.into_iter().enumerate() {
        sleep(Duration::from_millis(random.random_range(size.apart.clone()))).await;
        worker_kills += usize::from(matches!(victim, Victim::Worker));
        tokio::task::block_in_place(|| scene.kill(victim, place))?;
    }
    killing.store(false, Ordering::SeqCst);
    for sender in senders {
        sender.await??;
    }
    ensure!(sent.load(Ordering::SeqCst) == size.deliveries, "not everything was answered with 2xx");
    let jobs = drained(&scene, size.deliveries).await?;
    let took = began.elapsed();
    judge(store, &scene, &jobs, size.deliveries, worker_kills, took)
}

/// Sends each delivery until it is answered with 2xx, during all of the kills.
async fn send(
    ids: impl Iterator<Item = usize>,
    all: usize,
    address: watch::Receiver<SocketAddr>,
    sent: Arc<AtomicUsize>,
    killing: Arc<AtomicBool>,
) -> Result<()> {
    let client = Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .pool_max_idle_per_host(0)
        .build_http::<Full<Bytes>>();
    for id in ids {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let request = SCRAPEST.request(nobody, &format!("f13-{id}"), None);
        loop {
            let mut request = request.clone();
            let to = *address.borrow();
            *request.uri_mut() = format!("http://{to}{}", SCRAPEST.path).parse()?;
            let answer = timeout(Duration::from_secs(5), client.request(request)).await;
            if matches!(answer, Ok(Ok(answer)) if answer.status().is_success()) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        sent.fetch_add(1, Ordering::SeqCst);
        // The last tenth waits for the kills, so that each kill happens during deliveries.
        if sent.load(Ordering::SeqCst) > all / 10 * 9 {
            while killing.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(50)).await;
            }
        } else if killing.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}

async fn drained(scene: &Scene, deliveries: usize) -> Result<Vec<JobRecord>> {
    let queue = Queue::open(&scene.server.url()).await?;
    let since = Instant::now();
    loop {
        // The database does not answer while it restarts.
        if let Ok(depth) = queue.depth().await
            && depth.waiting + depth.running == 0
        {
            let most = u32::try_from(2 * deliveries)?;
            return Ok(queue.list(None, 0, most).await?);
        }
        ensure!(since.elapsed() < DRAINED, "the queue does not drain: {:?}", queue.depth().await);
        sleep(Duration::from_millis(100)).await;
    }
}

fn judge(
    store: Store,
    scene: &Scene,
    jobs: &[JobRecord],
    deliveries: usize,
    worker_kills: usize,
    took: Duration,
) -> Result<Violations> {
    let title = format!("f13 {store:?}").to_lowercase();
    let mut effects: HashMap<String, usize> = HashMap::new();
    for line in std::fs::read_to_string(&scene.journal)?.lines() {
        if let Some((_, id)) = line.split_once(" effect ") {
            *effects.entry(id.to_owned()).or_default() += 1;
        }
    }
    let lost_runs: HashMap<&str, u32> =
        jobs.iter().filter_map(|job| Some((job.delivery_id.as_deref()?, job.lost))).collect();
    let lost = (0..deliveries).filter(|id| !effects.contains_key(&format!("f13-{id}"))).count();
    let dead = jobs.iter().filter(|job| job.state == JobState::Dead).count();
    let twice: Vec<_> = effects.iter().filter(|(_, times)| **times > 1).collect();
    let unexplained: Vec<_> = twice
        .iter()
        .filter(|(id, times)| **times > 1 + lost_runs.get(id.as_str()).map_or(0, |n| *n as usize))
        .collect();
    let runs_lost: u32 = jobs.iter().map(|job| job.lost).sum();
    println!(
        "{title}: {deliveries} answered 2xx in {:.1} s, {} jobs, {lost} lost, {dead} dead, {} done twice \
         ({} unexplained), {runs_lost} runs lost in {worker_kills} kills of workers",
        took.as_secs_f64(),
        jobs.len(),
        twice.len(),
        unexplained.len(),
    );
    let mut violations = Vec::new();
    for (what, found) in [
        ("lost after their 2xx", lost),
        ("dead that would have succeeded", dead),
        ("done twice without a lost run", unexplained.len()),
        ("jobs too many", jobs.len().abs_diff(deliveries)),
    ] {
        if found > 0 {
            violations.push(format!("{title}: {found} × {what}"));
        }
    }
    if !violations.is_empty() {
        let kept = std::env::temp_dir().join(format!("faults-{}.journal", title.replace(' ', "-")));
        std::fs::copy(&scene.journal, &kept)?;
        violations.push(format!("{title}: its journal is {}", kept.display()));
    }
    Ok(violations)
}
