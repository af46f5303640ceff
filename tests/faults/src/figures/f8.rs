//! F8: the store is down, flaps, is slow, falls silent and resets its connections. The senders' schedules are
//! longer.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use support::Proxy;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Options, Violations, report};
use crate::judge::judge;
use crate::sender::{SCRAPEBADGER, SLOW, Schedule};
use crate::servers::Store;
use crate::site::Site;

/// Deliveries per second and schedule.
const RATE: u32 = 10;
/// The goal is 2 s; a busy machine needs more.
const RECOVERY: u64 = 3_000_000;
/// How long to continue sending after a fault, to observe the recovery.
const TAIL: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    Down,
    Long,
    Flapping,
    /// Every answer of the store takes 2 s.
    Late,
    /// The store never answers.
    Silent,
    Resets,
}

pub async fn run(options: &Options) -> Result<Violations> {
    let mut running = Vec::new();
    for (place, &store) in options.stores.iter().enumerate() {
        // The others have no server that could fail.
        if matches!(store, Store::Redis | Store::Postgres) {
            let mut options = options.clone();
            options.frameworks = vec![options.frameworks[place % options.frameworks.len()]];
            running.push(tokio::spawn(async move { one(&options, store).await }));
        }
    }
    let mut violations = Vec::new();
    for one in running {
        violations.extend(one.await??);
    }
    Ok(violations)
}

async fn one(options: &Options, store: Store) -> Result<Violations> {
    let framework = options.frameworks[0];
    let mut site = tokio::task::block_in_place(|| Site::new(store, framework, options.scale, 5))?;
    let port = site.server.port().context("a store with a server")?;
    let proxy = Proxy::start(port).await;
    site.setup.url = site.server.url_through(proxy.port);
    tokio::task::block_in_place(|| site.start_all())?;
    for &phase in Phase::value_variants() {
        if options.phase.is_none_or(|chosen| chosen == phase) {
            // Until the last retry, so that no delivery meets two outages.
            endure(phase, &mut site, &proxy).await.await?;
            sleep(Duration::from_secs(1)).await;
        }
    }

    let history = site.history()?;
    let verdict = judge(&history, site.terms());
    let mut violations = report("f8", &site, options, &verdict)?;
    // The small size measures differences of half a second or less, which a machine stall alone can exceed.
    let told_only = !options.full && history.stalls > 0;
    if told_only {
        println!(
            "f8 {store:?}: the machine stood still {} times: only losses count",
            history.stalls
        );
    }
    // Every delivery must succeed: its schedule is longer than its outage.
    if !verdict.unreachable.is_empty() && !told_only {
        let some = verdict.unreachable.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let journal = site.keep("f8", options)?;
        violations.push(format!(
            "f8 {store:?}: {} gave up: {some}; the journal is {}",
            verdict.unreachable.len(),
            journal.display()
        ));
    }
    let recoveries = history.recoveries();
    let seconds: Vec<_> = recoveries.iter().map(|&after| after as f64 / 1e6).collect();
    println!("f8 {store:?}: first success after each recovery, in s: {seconds:.2?}");
    let slowest = recoveries.into_iter().max().unwrap_or(u64::MAX);
    if slowest > RECOVERY && !told_only {
        violations.push(format!("f8 {store:?}: first success {slowest} µs after recovery"));
    }
    Ok(violations)
}

/// One outage in the middle of a stream of deliveries, on the schedules that must survive it.
async fn endure(phase: Phase, site: &mut Site, proxy: &Proxy) -> JoinHandle<()> {
    let scale = site.setup.scale;
    let of = |seconds: u32| Duration::from_secs(seconds.into()) / scale;
    let both = [("fast", SCRAPEBADGER), ("slow", SLOW)];
    let slow = &both[1..];
    match phase {
        Phase::Down => {
            // The fast schedule must leave time for finding the store again, which does not scale.
            let outage = of(39).saturating_sub(Duration::from_secs(3)).min(of(35));
            println!(
                "f8 {:?}: down {:.0} s at 1/2/4 s",
                site.store,
                (outage * scale).as_secs_f64()
            );
            let sent = send(site, "down", &both, outage + TAIL);
            site.store_goes();
            sleep(outage).await;
            site.store_comes();
            sent
        }
        Phase::Long => {
            let sent = send(site, "long", slow, of(60) + TAIL);
            site.store_goes();
            sleep(of(60)).await;
            site.store_comes();
            sent
        }
        Phase::Flapping => {
            // Up for less time than a delivery may wait, repeatedly: only for the slow schedule, which lasts
            // long enough.
            let sent = send(site, "flapping", slow, of(25) + TAIL);
            for _ in 0..5 {
                site.store_goes();
                sleep(of(2)).await;
                site.store_comes();
                sleep(of(3)).await;
            }
            sent
        }
        Phase::Late => {
            let sent = send(site, "late", &both, of(20) + TAIL);
            site.journal.note(format_args!("store-down"));
            proxy.delay_replies(of(2));
            sleep(of(20)).await;
            proxy.delay_replies(Duration::ZERO);
            site.journal.note(format_args!("store-up"));
            sent
        }
        Phase::Silent => {
            let sent = send(site, "silent", &both, of(5) + TAIL);
            site.journal.note(format_args!("store-down"));
            proxy.swallow_replies(true);
            sleep(of(5)).await;
            proxy.swallow_replies(false);
            // Requests whose answers were dropped notice it now.
            proxy.reset();
            site.journal.note(format_args!("store-up"));
            sent
        }
        Phase::Resets => {
            let sent = send(site, "resets", &both, of(20) + TAIL);
            site.journal.note(format_args!("store-down"));
            let until = Instant::now() + of(20);
            while Instant::now() < until {
                proxy.reset();
                sleep(Duration::from_millis(200)).await;
            }
            site.journal.note(format_args!("store-up"));
            sent
        }
    }
}

fn send(
    site: &Site,
    phase: &'static str,
    schedules: &[(&'static str, Schedule)],
    over: Duration,
) -> JoinHandle<()> {
    let (sender, schedules) = (site.sender(), schedules.to_vec());
    tokio::spawn(async move {
        let began = Instant::now();
        let mut running = Vec::new();
        let mut number = 0;
        while began.elapsed() < over {
            for &(name, schedule) in &schedules {
                let (sender, id) = (sender.clone(), format!("f8-{phase}-{name}-{number}"));
                running.push(tokio::spawn(async move {
                    sender.deliver(schedule, &id, number, &[]).await;
                }));
            }
            number += 1;
            sleep_until(began + Duration::from_secs(1) / RATE * u32::try_from(number).unwrap_or(0))
                .await;
        }
        for delivery in running {
            _ = delivery.await;
        }
    })
}
