//! Two receivers on one store act as one receiver, also when either is killed during a run.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use scrapest_webhook::store::RedisStore;
use scrapest_webhook::testing::SignedRequest;
use support::servers::redis::{DURABLE, FORGETFUL, RedisServer};
use support::{Axum, Framework, Handler, client, genuine, layer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

const LEASE: Duration = Duration::from_secs(1);
const RUN: Duration = Duration::from_millis(40);

/// A receiver in its own process, which runs this test binary again.
struct Receiver {
    process: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start(url: &str, effects: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::receiver_process_on_redis", "--nocapture"])
            .env("RECEIVER_REDIS", url)
            .env("RECEIVER_EFFECTS", effects)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = output
            .find_map(|line| Some(line.unwrap().split_once("serves at ")?.1.parse().unwrap()))
            .expect("an address");
        Self { process, address }
    }
}

impl Drop for Receiver {
    /// `kill -9`.
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The process that [`Receiver::start`] starts. Run as a test, it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_process_on_redis() {
    let Ok(url) = std::env::var("RECEIVER_REDIS") else { return };
    let path = std::env::var_os("RECEIVER_EFFECTS").unwrap();
    let effects = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    let effects = Arc::new(effects);
    let handler = Handler::new(move |delivery, _| {
        let effects = Arc::clone(&effects);
        async move {
            for (what, pause) in [("begin", RUN), ("end", Duration::ZERO)] {
                let (process, now) = (std::process::id(), micros());
                let line =
                    format!("{what} {} {} {process} {now}\n", delivery.key(), delivery.fence());
                // One write, so that lines of several processes do not mix.
                (&*effects).write_all(line.as_bytes()).unwrap();
                sleep(pause).await;
            }
            200
        }
    });
    let store = RedisStore::new(&url).unwrap();
    let server = Axum::serve(layer().with_store(store).with_lease(LEASE), handler).await;
    println!("serves at {}", server.address);
    // Runs until the process that started it has ended.
    let gone = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(gone).await.unwrap().unwrap();
}

/// A handler's run, as the handler recorded it.
#[derive(Debug)]
struct Run {
    begin: u64,
    end: Option<u64>,
    fence: u64,
    process: u32,
}

fn runs(effects: &Path) -> HashMap<String, Vec<Run>> {
    let mut runs: HashMap<String, Vec<Run>> = HashMap::new();
    for line in std::fs::read_to_string(effects).unwrap().lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let &[what, key, fence, process, at] = &fields[..] else { panic!("{line}") };
        let (fence, process, at) =
            (fence.parse().unwrap(), process.parse().unwrap(), at.parse().unwrap());
        let of_key = runs.entry(key.to_owned()).or_default();
        match what {
            "begin" => of_key.push(Run { begin: at, end: None, fence, process }),
            _ => of_key.iter_mut().find(|run| run.fence == fence).unwrap().end = Some(at),
        }
    }
    runs
}

fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

fn effects_file(redis: &RedisServer) -> PathBuf {
    let path = redis.directory.join("effects");
    std::fs::write(&path, "").unwrap();
    path
}

/// Returns the status, if the receiver lived long enough to answer.
async fn try_send(address: SocketAddr, request: &SignedRequest) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(&client::text(request)).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    client::parse(&answer).map(|answer| answer.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_concurrent_duplicates_at_two_receivers_runs() {
    let Some(redis) = RedisServer::start(FORGETFUL) else { return };
    let effects = effects_file(&redis);
    let receivers = [(); 2].map(|()| Receiver::start(&redis.url(), &effects));
    let requests: Vec<_> = (0..10).map(|_| Arc::new(genuine().sign())).collect();
    let mut senders = Vec::new();
    for _ in 0..15 {
        for request in &requests {
            for receiver in &receivers {
                let (address, request) = (receiver.address, Arc::clone(request));
                senders.push(tokio::spawn(async move { try_send(address, &request).await }));
            }
        }
    }
    for sender in senders {
        let status = sender.await.unwrap();
        assert!(matches!(status, Some(200 | 503)), "{status:?}");
    }
    let runs = runs(&effects);
    assert_eq!(runs.len(), requests.len());
    assert!(runs.values().all(|runs| runs.len() == 1), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_either_of_two_receivers_loses_and_overlaps_nothing() {
    let Some(redis) = RedisServer::start(DURABLE) else { return };
    let (url, effects) = (redis.url(), effects_file(&redis));
    let receivers = [(); 2].map(|()| Mutex::new(Some(Receiver::start(&url, &effects))));
    let receivers = Arc::new(receivers);
    let addresses = receivers
        .each_ref()
        .map(|place| Mutex::new(place.lock().unwrap().as_ref().unwrap().address));
    let addresses = Arc::new(addresses);

    // Senders that retry until they get a success, each time at the other receiver.
    let senders: Vec<_> = (0..16)
        .map(|sender| {
            let addresses = Arc::clone(&addresses);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for _ in 0..8 {
                    let (request, began) = (genuine().sign(), Instant::now());
                    for attempt in sender.. {
                        let address = *addresses[attempt % 2].lock().unwrap();
                        if try_send(address, &request).await == Some(200) {
                            break;
                        }
                        assert!(began.elapsed() < Duration::from_secs(30), "never accepted");
                        sleep(Duration::from_millis(50)).await;
                    }
                    acknowledged.push((request, micros()));
                }
                acknowledged
            })
        })
        .collect();

    let mut killed = Vec::new();
    for kill in 0..6 {
        sleep(Duration::from_millis(150)).await;
        let mut place = receivers[kill % 2].lock().unwrap();
        killed.extend(place.take().map(|receiver| receiver.process.id()));
        let anew = Receiver::start(&url, &effects);
        *addresses[kill % 2].lock().unwrap() = anew.address;
        *place = Some(anew);
    }
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }

    let before = runs(&effects);
    for (request, _) in &acknowledged {
        let address = *addresses[0].lock().unwrap();
        assert_eq!(try_send(address, request).await, Some(200), "a duplicate");
    }
    let runs = runs(&effects);
    let count = |runs: &HashMap<String, Vec<Run>>| runs.values().map(Vec::len).sum::<usize>();
    assert_eq!(count(&runs), count(&before), "nothing runs after a success");
    assert_eq!(runs.len(), acknowledged.len(), "nothing is lost");
    let mut cut = 0;
    for runs in runs.values() {
        assert!(
            runs.iter().any(|run| run.end.is_some()),
            "every acknowledged delivery has an effect"
        );
        for pair in runs.windows(2) {
            let [earlier, later] = pair else { unreachable!() };
            cut += 1;
            assert!(killed.contains(&earlier.process), "only a kill is a reason to run again");
            assert!(later.fence > earlier.fence, "{runs:?}");
            // The lease began at the claim, slightly before the handler.
            let slack = Duration::from_millis(300);
            let apart = Duration::from_micros(later.begin - earlier.begin);
            assert!(apart + slack >= LEASE, "ran during another attempt's lease: {runs:?}");
        }
    }
    println!("{} deliveries, {} kills, {cut} cut short and run again", runs.len(), killed.len());
    assert!(cut > 0, "no kill hit a run, so the test proves nothing");
}
