//! F2: deliveries whose handlers fail, panic and hang, while receivers are killed and stopped and the store is
//! killed. The seed determines the schedule.

use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Options, Violations, report};
use crate::judge::judge;
use crate::receiver::{Defect, Framework};
use crate::sender::{SCRAPEBADGER, SCRAPEST, Schedule};
use crate::servers::Store;
use crate::site::Site;

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillReceiver,
    StopReceiver,
    KillStore,
}

#[derive(Clone, Copy)]
struct Size {
    deliveries: usize,
    receiver_kills: usize,
    receiver_stops: usize,
    store_kills: usize,
}

const FULL: Size =
    Size { deliveries: 10_000, receiver_kills: 50, receiver_stops: 10, store_kills: 10 };
const SHORT: Size = Size { deliveries: 600, receiver_kills: 3, receiver_stops: 1, store_kills: 1 };

/// The unscaled time between two faults: a lease, and the time to find the store again, so that each delivery's
/// schedule meets only one fault.
const APART: Duration = Duration::from_secs(40);

pub async fn run(options: &Options) -> Result<Violations> {
    let size = if options.full { FULL } else { SHORT };
    // Leases are twice as long on a machine with other load.
    let scale = if options.full { options.scale } else { options.scale.div_ceil(2) };
    let options = &Options { scale, ..options.clone() };
    // Concurrently, because most of the time is waiting.
    let mut running = Vec::new();
    for (place, &store) in options.stores.iter().enumerate() {
        // Each framework on two of the stores, or all frameworks if only one store was requested.
        let frameworks = match options.stores.len() {
            1 => options.frameworks.clone(),
            _ => vec![options.frameworks[place % options.frameworks.len()]],
        };
        for framework in frameworks {
            let options = options.clone();
            running.push(tokio::spawn(
                async move { one(&options, store, framework, size, None).await },
            ));
        }
    }
    let mut violations = Vec::new();
    for one in running {
        violations.extend(one.await??);
    }
    Ok(violations)
}

/// A short run with a broken receiver, in which the judge must find the defect.
pub async fn with_defect(options: &Options, defect: Defect) -> Result<Violations> {
    let size = Size { deliveries: 200, receiver_kills: 1, receiver_stops: 0, store_kills: 0 };
    one(options, Store::Sqlite, Framework::Axum, size, Some(defect)).await
}

async fn one(
    options: &Options,
    store: Store,
    framework: Framework,
    size: Size,
    defect: Option<Defect>,
) -> Result<Violations> {
    let mut rng = StdRng::seed_from_u64(options.seed);
    let mut faults = vec![Fault::KillReceiver; size.receiver_kills];
    faults.extend(vec![Fault::StopReceiver; size.receiver_stops]);
    if matches!(store, Store::Redis | Store::Postgres) {
        faults.extend(vec![Fault::KillStore; size.store_kills]);
    }
    faults.shuffle(&mut rng);

    let mut site = tokio::task::block_in_place(|| Site::new(store, framework, options.scale, 40))?;
    site.setup.defect = defect;
    tokio::task::block_in_place(|| site.start_all())?;
    let apart = APART / options.scale;
    let over_all = apart * u32::try_from(faults.len() + 1)?;
    let sending = tokio::spawn(send(&site, rng.random(), size.deliveries, over_all));
    let began = Instant::now();
    for (number, fault) in faults.into_iter().enumerate() {
        sleep_until(began + apart * u32::try_from(number)? + apart / 2).await;
        let place = rng.random_range(0..site.receivers.len());
        let pause = Duration::from_secs_f64(rng.random_range(0.0..5.0)) / options.scale;
        match fault {
            Fault::KillReceiver => {
                site.receivers[place].kill()?;
                sleep(pause).await;
                tokio::task::block_in_place(|| site.start(place, None))?;
            }
            Fault::StopReceiver => {
                site.receivers[place].stop()?;
                // Until its leases have ended, so that it wakes up as a zombie.
                sleep(Duration::from_secs(20) / options.scale).await;
                site.receivers[place].go_on()?;
            }
            Fault::KillStore => {
                site.store_goes();
                sleep(pause).await;
                site.store_comes();
            }
        }
    }
    let requests = sending.await?;
    // Runs whose client has left may still end.
    sleep(Duration::from_secs(25) / options.scale + Duration::from_secs(1)).await;
    let sender = site.sender();
    for (number, (schedule, id, request)) in requests.iter().enumerate().step_by(10) {
        sender.send(*schedule, id, request, number, "ok").await;
    }
    sleep(Duration::from_millis(500)).await;
    let verdict = judge(&site.history()?, site.terms());
    report("f2", &site, options, &verdict)
}

type Sent = (Schedule, String, http::Request<http_body_util::Full<bytes::Bytes>>);

/// Sends all deliveries, evenly spread over the given time.
fn send(
    site: &Site,
    seed: u64,
    count: usize,
    over: Duration,
) -> impl Future<Output = Vec<Sent>> + Send + 'static {
    let sender = site.sender();
    async move {
        let mut rng = StdRng::seed_from_u64(seed);
        let began = Instant::now();
        let mut running = Vec::new();
        for number in 0..count {
            let due = over.mul_f64(number as f64 / count as f64);
            let schedule = *[SCRAPEST, SCRAPEBADGER].choose(&mut rng).unwrap_or(&SCRAPEST);
            // 20 % fail, 10 % panic, 5 % hang; half of these never succeed, and half succeed late.
            let fault = match rng.random_range(0..200) {
                0..40 => "fail",
                40..60 => "panic",
                60..65 => "hang",
                65..70 => "slow",
                _ => "ok",
            };
            let receiver = rng.random_range(0..2);
            let sender = sender.clone();
            sleep_until(began + due).await;
            running.push(tokio::spawn(async move {
                let id = format!("f2-{number}");
                let request = sender.deliver(schedule, &id, receiver, &[fault]).await;
                (schedule, id, request)
            }));
        }
        let mut sent = Vec::new();
        for delivery in running {
            sent.extend(delivery.await);
        }
        sent
    }
}
