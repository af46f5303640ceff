//! F14: an hour of deliveries through PgBouncer to a PostgreSQL that fails over to its standby halfway.
//!
//! The standby is synchronous until then: everything that the store acknowledged is on both servers. So the
//! failover must not lose a record, and no delivery may run twice because of it. Times are those of production,
//! whatever `--scale` is.

mod cluster;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use self::cluster::Cluster;
use super::{Options, Violations, report};
use crate::judge::{History, judge};
use crate::sender::{SCRAPEST, Sender};
use crate::servers::Store;
use crate::site::Site;

/// Deliveries per second.
const RATE: u32 = 200;
/// For a machine with other load.
const RATE_SMALL: u32 = 50;
/// From the end of the primary to the promotion of its standby.
const NOTICED: Duration = Duration::from_secs(5);
/// The number of deliveries from just before the failover that are sent again after it.
const AGAIN: usize = 2_000;
/// The connections of each receiver's store.
const CONNECTIONS: i64 = 3;
/// In MB per hour. A shorter run cannot measure it.
const SLOPE: f64 = 1.0;
const SLOPE_FROM_MINUTES: u32 = 30;
/// From the switch of the pooler to the new primary to the first success, in µs.
const RECOVERY: u64 = 3_000_000;

pub async fn run(options: &Options) -> Result<Violations> {
    // `Cluster::start` has printed that this is skipped.
    let Some(mut cluster) = Cluster::start().await? else { return Ok(Vec::new()) };
    let (url, framework) = (cluster.url(), options.frameworks[0]);
    let site = || Site::beside(Store::Postgres, Some(&url), "f14", framework, 1, 5);
    let mut site = block_in_place(site)?;
    block_in_place(|| site.start_all())?;

    let length = Duration::from_secs(60) * options.minutes;
    let rate = if options.full { RATE } else { RATE_SMALL };
    println!("f14: {} min at {rate}/s, real time, failover in the middle", options.minutes);
    let last = Arc::new(Last::default());
    let sending = tokio::spawn(send(site.sender(), rate, length, Arc::clone(&last)));
    let memory = vec![[Vec::new(), Vec::new()]; site.receivers.len()];
    let mut measured = Measured { connections: 0, memory };
    let mut sent_again = None;
    let began = Instant::now();
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < length {
        seconds.tick().await;
        measured.connections = measured.connections.max(cluster.connections().await?);
        for (receiver, memory) in site.receivers.iter().zip(&mut measured.memory) {
            let half = &mut memory[usize::from(sent_again.is_some())];
            half.push((began.elapsed().as_secs_f64(), receiver.memory()? as f64 / 1e6));
        }
        if sent_again.is_none() && began.elapsed() >= length / 2 {
            let requests = last.take();
            site.store_goes();
            cluster.lose_the_primary();
            sleep(NOTICED).await;
            cluster.promote_the_standby().await?;
            site.store_comes();
            sent_again = Some(tokio::spawn(send_again(site.sender(), requests)));
        }
    }
    sending.await?;
    if let Some(sent_again) = sent_again {
        sent_again.await?;
    }
    conclude(options, &site, &measured)
}

type Sent = (String, Request<Full<Bytes>>);

/// The deliveries that were acknowledged last.
#[derive(Default)]
struct Last(Mutex<VecDeque<Sent>>);

impl Last {
    fn push(&self, sent: Sent) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(sent);
        if last.len() > AGAIN {
            last.pop_front();
        }
    }

    fn take(&self) -> VecDeque<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn send(sender: Sender, rate: u32, length: Duration, last: Arc<Last>) {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0.. {
        let due = Duration::from_secs(1) / rate * number;
        if due >= length {
            break;
        }
        sleep_until(began + due).await;
        let (sender, last) = (sender.clone(), Arc::clone(&last));
        running.spawn(async move {
            let id = format!("f14-{number}");
            let request = sender.deliver(SCRAPEST, &id, number as usize, &[]).await;
            last.push((id, request));
        });
        while running.try_join_next().is_some() {}
    }
    running.join_all().await;
}

/// Sends deliveries again: each success from before the failover must be known after it.
async fn send_again(sender: Sender, requests: VecDeque<Sent>) {
    sleep(Duration::from_micros(RECOVERY)).await;
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    let mut running = JoinSet::new();
    for (receiver, (id, request)) in requests.into_iter().enumerate() {
        ticks.tick().await;
        let sender = sender.clone();
        running.spawn(async move { sender.send(SCRAPEST, &id, &request, receiver, "ok").await });
    }
    running.join_all().await;
}

struct Measured {
    /// The highest number on the server.
    connections: i64,
    /// Seconds and MB per receiver, before and after the failover. The split keeps the burst of waiting
    /// deliveries, which is a step and not a leak, out of the slope.
    memory: Vec<[Vec<(f64, f64)>; 2]>,
}

fn conclude(options: &Options, site: &Site, measured: &Measured) -> Result<Violations> {
    let history = site.history()?;
    let verdict = judge(&history, site.terms());
    let mut violations = report("f14", site, options, &verdict)?;
    println!("f14: lost, double and overlap (goal 0 each); {}", answers(&history));
    // A small run is made on busy machines, where times do not depend on the receivers alone.
    let told_only = !options.full;
    let gave_up = verdict.unreachable.len();
    if gave_up > 0 && !told_only {
        violations.push(format!("f14: {gave_up} deliveries were given up"));
    }

    let first = history.recoveries().into_iter().max().unwrap_or(u64::MAX);
    println!("f14: first success {:.2} s after the failover (goal 3 s)", first as f64 / 1e6);
    if first > RECOVERY && !told_only {
        violations.push(format!("f14: first success {first} µs after the failover"));
    }

    let most = CONNECTIONS * i64::try_from(site.receivers.len())?;
    println!("f14: {} connections on the server at most (goal {most})", measured.connections);
    if measured.connections > most && !told_only {
        violations.push(format!("f14: {} connections, expected {most}", measured.connections));
    }

    let told = options.minutes >= SLOPE_FROM_MINUTES;
    let goal = if told { "goal < 1 MB/h" } else { "goal < 1 MB/h, not told by so short a run" };
    for (receiver, halves) in site.receivers.iter().zip(&measured.memory) {
        for (half, memory) in ["before", "after"].into_iter().zip(halves) {
            let settled = &memory[memory.len() / 10..];
            let slope = slope(settled) * 3_600.0;
            let megabytes = |point: Option<&(f64, f64)>| point.map_or(0.0, |(_, memory)| *memory);
            let (from, to) = (megabytes(settled.first()), megabytes(settled.last()));
            println!(
                "f14: memory of {} {half} the failover from {from:.1} to {to:.1} MB, {slope:.2} MB/h ({goal})",
                receiver.name
            );
            if told && slope >= SLOPE {
                violations.push(format!("f14: {} grows by {slope:.2} MB/h", receiver.name));
            }
        }
    }
    Ok(violations)
}

fn answers(history: &History) -> String {
    let mut by_status: BTreeMap<u16, usize> = BTreeMap::new();
    for attempt in history.deliveries.values().flat_map(|delivery| &delivery.attempts) {
        *by_status.entry(attempt.status).or_default() += 1;
    }
    let all = by_status.iter().map(|(status, count)| match status {
        0 => format!("{count} × none"),
        status => format!("{count} × {status}"),
    });
    format!("answers: {}", all.collect::<Vec<_>>().join(", "))
}

/// The slope of the best-fitting line.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (mut together, mut alone) = (0.0, 0.0);
    for point in points {
        together += (point.0 - x) * (point.1 - y);
        alone += (point.0 - x).powi(2);
    }
    together / alone
}
