//! F6: hostile load beside genuine deliveries. Measures the memory that it costs, how soon it is cut, and the
//! effect on the genuine deliveries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::attacks::{self, Seen};
use super::{Options, Violations};
use crate::receiver::Framework;
use crate::sender::SCRAPEST;
use crate::servers::Store;
use crate::site::Site;

/// 64 MiB, the layer's default cap on bytes in flight, and what hyper reads ahead on the 90 connections with
/// large bodies: up to 408 KiB each.
const GROWTH: u64 = (64 + 64 + 36) * 1024 * 1024;
const CUT: Duration = Duration::from_secs(6);
/// For the genuine deliveries.
const P99: Duration = Duration::from_secs(1);
/// Genuine deliveries per second.
const RATE: u64 = 50;

struct Size {
    length: Duration,
    slow_bodies: u64,
    slow_headers: u32,
    /// Endless bodies, and as many huge ones.
    large: u32,
    /// Bodies of 1 MiB without their last byte, more than fit into the cap.
    unfinished: u32,
    forged_a_second: u32,
    /// The factor that is allowed for times, because a busy machine cannot meet the goals.
    leeway: u32,
}

const FULL: Size = Size {
    length: Duration::from_secs(60),
    slow_bodies: 1_000,
    slow_headers: 200,
    large: 20,
    unfinished: 70,
    forged_a_second: 2_000,
    leeway: 1,
};
const SHORT: Size = Size {
    length: Duration::from_secs(8),
    slow_bodies: 100,
    slow_headers: 20,
    large: 4,
    unfinished: 0,
    forged_a_second: 100,
    leeway: 3,
};

pub async fn run(options: &Options) -> Result<Violations> {
    let mut violations = Vec::new();
    for &framework in &options.frameworks {
        violations.extend(one(options, framework).await?);
    }
    Ok(violations)
}

async fn one(options: &Options, framework: Framework) -> Result<Violations> {
    let size = if options.full { FULL } else { SHORT };
    let mut site = tokio::task::block_in_place(|| Site::new(Store::Memory, framework, 1, 0))?;
    site.setup.journal = None;
    tokio::task::block_in_place(|| site.start(0, None))?;
    let address = site.receivers[0].address;

    genuine(&site, Duration::from_secs(2)).await?;
    let before = site.receivers[0].memory()?;
    let seen = Arc::new(Seen::default());
    let mut hostile = JoinSet::new();
    for place in 0..size.slow_bodies {
        let seen = Arc::clone(&seen);
        hostile.spawn(async move {
            // Spread out, because a full accept queue of the kernel is not the subject.
            sleep(Duration::from_millis(place)).await;
            attacks::slow_body(address, seen).await;
        });
    }
    for _ in 0..size.slow_headers {
        hostile.spawn(attacks::slow_headers(address));
    }
    for _ in 0..size.large {
        hostile.spawn(attacks::endless_chunks(address, Arc::clone(&seen)));
        hostile.spawn(attacks::huge_length(address, Arc::clone(&seen)));
    }
    for _ in 0..size.unfinished {
        hostile.spawn(attacks::unfinished(address, Arc::clone(&seen)));
    }
    hostile.spawn(attacks::forged(address, size.forged_a_second, Arc::clone(&seen)));
    hostile.spawn(attacks::connections(address));
    if framework == Framework::Axum {
        // This actix server has no HTTP/2.
        hostile.spawn(attacks::rapid_reset(address, Arc::clone(&seen)));
    }
    let (mut most, began) = (before, Instant::now());
    let genuine = genuine(&site, size.length);
    tokio::pin!(genuine);
    let genuine = loop {
        tokio::select! {
            done = &mut genuine => break done?,
            () = sleep(Duration::from_millis(100)) => most = most.max(site.receivers[0].memory()?),
        }
    };
    let took = began.elapsed();
    hostile.shutdown().await;

    let grown = most.saturating_sub(before);
    println!(
        "f6 {framework:?} in {:.0} s: memory {:.1} MiB + {:.1} MiB; {genuine}; {seen}",
        took.as_secs_f64(),
        mib(before),
        mib(grown),
    );
    let mut violations = seen.violations(CUT * size.leeway);
    if grown > GROWTH {
        violations.push(format!("memory grew by {:.1} MiB", mib(grown)));
    }
    if genuine.refused() > 0 || genuine.p99() > P99 * size.leeway {
        violations.push(genuine.to_string());
    }
    Ok(violations.into_iter().map(|found| format!("f6 {framework:?}: {found}")).collect())
}

/// How small genuine deliveries were answered.
pub(super) struct Genuine {
    /// Of the 200 answers, in microseconds.
    pub latency: Histogram<u64>,
    /// The other results, by status or client error, and their numbers.
    pub others: BTreeMap<String, usize>,
}

impl Genuine {
    pub fn refused(&self) -> usize {
        self.others.values().sum()
    }

    pub fn p99(&self) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(0.99))
    }
}

impl fmt::Display for Genuine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.latency.len();
        let all = answered + self.refused() as u64;
        write!(f, "{answered} of {all} genuine answered 200, p99 {:.1?}", self.p99())?;
        self.others.iter().try_for_each(|(what, count)| write!(f, ", {count} × {what}"))
    }
}

pub(super) async fn genuine(site: &Site, length: Duration) -> Result<Genuine> {
    let address = site.receivers[0].address;
    // A separate address has separate ports; the attackers use up those of theirs.
    let mut connector = HttpConnector::new();
    connector.set_local_address(Some([127, 0, 0, 3].into()));
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let (began, mut due) = (Instant::now(), interval(Duration::from_secs(1) / RATE as u32));
    let mut running = Vec::new();
    while began.elapsed() < length {
        let due = due.tick().await;
        let client = client.clone();
        let id = format!("f6-{:?}", due.duration_since(began));
        running.push(tokio::spawn(async move {
            let answer = client.request(SCRAPEST.request(address, &id, None)).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            anyhow::Ok((status, due.elapsed()))
        }));
    }
    let (mut latency, mut others) = (Histogram::new(3)?, BTreeMap::new());
    for answer in running {
        let other = match answer.await? {
            Ok((status, took)) if status == 200 => {
                latency.record(u64::try_from(took.as_micros())?)?;
                continue;
            }
            Ok((status, _)) => status.as_str().to_owned(),
            Err(error) => format!("{error:#}"),
        };
        *others.entry(other).or_default() += 1;
    }
    Ok(Genuine { latency, others })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
