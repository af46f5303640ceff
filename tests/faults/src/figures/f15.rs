//! F15: bodies of 1 MiB without their last byte, from one address, as many as fit into the cap and many more;
//! and how many small genuine deliveries from another address are answered 2xx, with default settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::attacks::{self, Seen};
use super::{Options, Violations, f6};
use crate::receiver::Framework;
use crate::servers::Store;
use crate::site::Site;

/// Refused out of 1,000 genuine deliveries.
const MOST_REFUSED: usize = 1;

pub async fn run(options: &Options) -> Result<Violations> {
    let mut violations = Vec::new();
    for &framework in &options.frameworks {
        for connections in if options.full { &[70, 1_000][..] } else { &[70][..] } {
            violations.extend(one(options, framework, *connections, false).await?);
            // This actix server has no HTTP/2.
            if framework == Framework::Axum {
                violations.extend(one(options, framework, *connections, true).await?);
            }
        }
    }
    Ok(violations)
}

async fn one(
    options: &Options,
    framework: Framework,
    connections: usize,
    http2: bool,
) -> Result<Violations> {
    let length = Duration::from_secs(if options.full { 30 } else { 6 });
    let mut site = tokio::task::block_in_place(|| Site::new(Store::Memory, framework, 1, 0))?;
    site.setup.journal = None;
    tokio::task::block_in_place(|| site.start(0, None))?;
    let address = site.receivers[0].address;
    let (seen, mut hostile) = (Arc::new(Seen::default()), JoinSet::new());
    for _ in 0..connections {
        let seen = Arc::clone(&seen);
        match http2 {
            true => hostile.spawn(attacks::unfinished_http2(address, seen)),
            false => hostile.spawn(attacks::unfinished(address, seen)),
        };
    }
    // Waits until the cap is used up.
    sleep(Duration::from_secs(2)).await;
    let genuine = f6::genuine(&site, length).await?;
    hostile.shutdown().await;

    let version = if http2 { 2 } else { 1 };
    let what = format!("f15 {framework:?}, {connections} connections of HTTP/{version}");
    println!("{what}: {genuine}; {seen}");
    let mut violations = Vec::new();
    let all = usize::try_from(genuine.latency.len())? + genuine.refused();
    if genuine.refused() > all.div_ceil(1_000) * MOST_REFUSED {
        violations.push(format!("{what}: {genuine}"));
    }
    Ok(violations)
}
