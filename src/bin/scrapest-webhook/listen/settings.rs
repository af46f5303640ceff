//! The layer's settings as flags.

use std::time::Duration;

use anyhow::Result;
use scrapest_webhook::{Once, Provider, WebhookLayer};

use crate::store::StoreArgs;
use crate::{flag, moment};

/// How much longer than --run-limit the layer lets a run take, for the work after the service's response.
pub(super) const AFTER_FORWARD: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    store: StoreArgs,

    /// The addresses and networks that may send, like 192.0.2.0/24; others get 403. Repeat the flag, or separate
    /// them by commas [default: everyone]
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    allow_ip: Vec<String>,

    /// The addresses and networks of proxies whose X-Forwarded-For or Forwarded header is trusted for --allow-ip
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    trusted_proxy: Vec<String>,

    /// What the service gets only once: each delivery, or also each tweet, whichever monitor or log reports it;
    /// `reconcile` needs `tweet`
    #[arg(long, value_enum, default_value = "delivery")]
    once_per: OncePer,

    /// How soon the sender must get an answer: after that it gets 503, and the run continues [default: 4s for
    /// Scrapest, 8s for ScrapeBadger]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    answer_within: Option<Duration>,

    /// How long one attempt at a delivery may run; then it is ended, and a retry may run
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = moment::span)]
    run_limit: Duration,

    /// How long a retry has to wait after a crash during an attempt [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    lease: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OncePer {
    Delivery,
    Tweet,
}

/// The time limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(super) answer_within: Duration,
    pub(super) run_limit: Duration,
}

impl Settings {
    /// Applies these flags to a layer. Errors use the names of the flags.
    pub(crate) fn set_on<P: Provider>(
        &self,
        mut layer: WebhookLayer<P>,
    ) -> Result<WebhookLayer<P>> {
        layer = self.store.set_on(layer)?;
        if let Some(deadline) = self.answer_within {
            layer = layer.with_answer_deadline(deadline);
        }
        if let Some(lease) = self.lease {
            layer = layer.with_lease(lease);
        }
        if self.once_per == OncePer::Tweet {
            layer = layer.with_once_per(Once::Tweet);
        }
        if !self.allow_ip.is_empty() {
            let allowed = layer.with_allowed_ips(&self.allow_ip);
            layer = allowed.map_err(|error| flag::of("--allow-ip", &error))?;
        }
        if !self.trusted_proxy.is_empty() {
            let trusted = layer.with_trusted_proxies(&self.trusted_proxy);
            layer = trusted.map_err(|error| flag::of("--trusted-proxy", &error))?;
        }
        let layer = layer.with_run_limit(self.run_limit).check().map_err(flag::named)?;
        // A forwarded delivery is ended by --forward-timeout and never by the run limit, so that a late response
        // of the service still counts and the delivery is not posted again.
        layer.with_run_limit(self.run_limit + AFTER_FORWARD).check().map_err(flag::named)
    }

    /// Whether a store was given. The memory store is empty at the start.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_named()
    }

    pub(crate) fn limits<P: Provider + Default>(&self) -> Limits {
        let answer_within = self.answer_within.unwrap_or_else(|| P::default().answer_deadline());
        Limits { answer_within, run_limit: self.run_limit }
    }
}
