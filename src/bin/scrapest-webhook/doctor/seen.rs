//! Compares the last day of the sender's log with the receiver's store.

use std::time::Duration;

use anyhow::{Result, ensure};
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapebadger::api::Client;
use scrapest_webhook::{Delivery, Once, Reconcile, ReconcileError, WebhookLayer};

use super::findings::Findings;
use crate::flag;
use crate::store::{self, StoreArgs};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(super) struct Seen {
    layer: WebhookLayer<ScrapeBadger>,
    since: Duration,
}

impl Seen {
    /// Returns `None` if no store was given.
    pub(super) fn of(args: &StoreArgs) -> Result<Option<Self>> {
        if !args.is_named() {
            ensure!(!args.has_others(), "--namespace, --retention: need --store");
            return Ok(None);
        }
        ensure!(!args.is_memory(), "--store: is memory:, expected the receiver's store");
        let layer = args.set_on(store::unsigned()?)?.with_once_per(Once::Tweet);
        let layer = layer.check().map_err(flag::named)?;
        // Deliveries that the store has forgotten would be reported as missed.
        let since = args.retention.map_or(DAY, |retention| retention.min(DAY));
        Ok(Some(Self { layer, since }))
    }

    pub(super) async fn compare(
        &self,
        api: &Client,
        monitor: &str,
        findings: &mut Findings,
    ) -> Result<()> {
        // Checked first, because otherwise each entry of the log would wait for the store.
        if !self.layer.is_ready().await {
            findings.problem(
                "store",
                "does not answer, or cannot be written to".to_owned(),
                "start the store: until then the receiver answers 503 to every delivery",
            );
            return Ok(());
        }
        let what = Reconcile::new(monitor).since(self.since).dry_run();
        // A dry run never calls it.
        let handler = |_: Delivery| async { Ok::<_, String>(()) };
        let done = match self.layer.reconcile(api, &what, handler).await {
            Ok(done) => done,
            Err(ReconcileError::Config(error)) => return Err(flag::named(error)),
            Err(error) => return Err(error.into()),
        };
        let (all, known) = (done.looked_at, done.known);
        if done.left > 0 {
            findings.ok(monitor, format!("has {} of {all} tweets in progress here", done.left));
        }
        match done.missing {
            0 if all == 0 => {}
            0 => findings.ok(monitor, format!("has {known} of {all} tweets handled here")),
            missing => findings.problem(
                monitor,
                format!("has {known} of {all} tweets handled here, and {missing} are unknown"),
                match known {
                    0 => {
                        "check that --store and --namespace are the receiver's, and that it runs with --once-per tweet \
                         (with_once_per(Once::Tweet)); then run reconcile with the same --store"
                    }
                    _ => "run reconcile with the same --store and --namespace: your service gets each missing one",
                },
            ),
        }
        Ok(())
    }
}
