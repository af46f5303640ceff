//! Kills the receiver with `kill -9` at each point of a delivery, on each store and framework. Then the
//! receiver restarts, and the sender retries.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use futures_util::{StreamExt, stream};
use support::Folder;

use super::{Options, Violations};
use crate::judge::judge;
use crate::receiver::{Framework, Point};
use crate::sender::SCRAPEST;
use crate::servers::Store;
use crate::site::Site;

/// Enough to use two cores while most wait for a lease to end.
const AT_ONCE: usize = 12;

pub async fn run(options: &Options) -> Result<Violations> {
    let mut cases = Vec::new();
    let mut servers = Vec::new();
    for &store in &options.stores {
        let folder = Folder::new();
        let server = store.start(&folder)?;
        // Each case has its own file or memory; all share one server.
        let url = server.port().map(|_| server.url());
        for &framework in &options.frameworks {
            for &point in Point::value_variants() {
                cases.push((store, url.clone(), framework, point));
            }
        }
        servers.push((server, folder));
    }
    let count = cases.len();
    let results = stream::iter(cases).map(|(store, url, framework, point)| async move {
        let title = format!("kill {point:?} {store:?}/{framework:?}");
        match die(options, store, url.as_deref(), framework, point).await {
            Ok(()) => None,
            Err(error) => Some(format!("{title}: {error:#}")),
        }
    });
    let violations: Vec<_> =
        results.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    println!("points: {count} kills, {} with another outcome than expected", violations.len());
    Ok(violations)
}

async fn die(
    options: &Options,
    store: Store,
    url: Option<&str>,
    framework: Framework,
    point: Point,
) -> Result<()> {
    let namespace = format!("{}-{framework:?}-{point:?}", options.seed);
    let mut site = Site::beside(store, url, &namespace, framework, options.scale, 20)?;
    tokio::task::block_in_place(|| site.start(0, Some(point)))?;
    let sender = site.sender();
    let retrying = sender.clone();
    let id = format!("point-{point:?}");
    let of_sender = id.clone();
    let delivering =
        tokio::spawn(async move { retrying.deliver(SCRAPEST, &of_sender, 0, &[]).await });
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, site.receivers[0].died())
        .await
        .context("the point was never passed")??;
    tokio::task::block_in_place(|| site.start(0, None))?;
    let request = delivering.await?;
    // Sent once more, as after a lost acknowledgement, and again if a busy machine did not answer in time.
    let mut again = 0;
    for _ in 0..20 {
        again = sender.send(SCRAPEST, &id, &request, 0, "ok").await;
        if again != 0 {
            break;
        }
    }

    let history = site.history()?;
    let verdict = judge(&history, site.terms());
    let violations = verdict.violations();
    if !violations.is_empty() {
        bail!("{violations:?}");
    }
    let delivery = history.deliveries.get(&id).context("no trace")?;
    let expected = effects(point, store);
    if delivery.effects() != expected || delivery.acknowledged().is_none() || again != 200 {
        bail!(
            "{} effects, expected {expected}; acknowledged: {}; answer to the same once more: {again}",
            delivery.effects(),
            delivery.acknowledged().is_some()
        );
    }
    Ok(())
}

/// Two where the process died between the effect and its record, and one everywhere else. A record that was
/// only in memory is lost.
fn effects(point: Point, store: Store) -> usize {
    use Point::*;
    match point {
        BeforeBody | AfterBody | AfterVerification => 1,
        BeforeClaim | BetweenClaims | AfterClaim | BeforeEffect => 1,
        AfterEffect | BeforeComplete => 2,
        // The signed bytes are recorded first, and suffice to recognize the retry.
        BetweenCompletes | AfterComplete | BeforeAnswer | AfterAnswer => {
            if store == Store::Memory {
                2
            } else {
                1
            }
        }
    }
}
