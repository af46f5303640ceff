//! The layer's settings as flags.

use std::time::Duration;

use anyhow::Result;
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Once, Provider, WebhookLayer};

use crate::{flag, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Where deliveries are remembered: `memory:`, `sqlite:FILE`, `redis://…`, `postgres://…`
    /// [default: memory:]
    ///
    /// Memory forgets at the end of the process. A URL with a password belongs into --store-env.
    #[arg(long, value_name = "URL", conflicts_with = "store_env")]
    store: Option<String>,

    /// The environment variable that has the URL of the store, if it has a password in it
    #[arg(long, value_name = "NAME")]
    store_env: Option<String>,

    /// Keeps webhooks apart that share a store: give each its own [default: the sender's name]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// What the service gets once: each delivery, or each tweet too, whichever monitor or log reports it. `reconcile` needs
    /// the second
    #[arg(long, value_enum, default_value = "delivery")]
    once_per: OncePer,

    /// When the sender is answered at the latest: after that it gets 503, and what runs goes on
    /// [default: 4s for Scrapest, 8s for ScrapeBadger]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    answer_within: Option<Duration>,

    /// How long one attempt at a delivery may run; then it is ended, and the delivery free for the retry
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = moment::span)]
    run_limit: Duration,

    /// How long a retry has to wait after a crash in the middle of an attempt [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    lease: Option<Duration>,

    /// How long a delivery is remembered [default: 70m in memory, else 24h]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    retention: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum OncePer {
    Delivery,
    Tweet,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(super) answer_within: Duration,
    pub(super) run_limit: Duration,
}

impl Settings {
    /// The layer with these flags. What is wrong with them is said by the flag's name.
    pub(crate) fn set_on<P: Provider>(
        &self,
        mut layer: WebhookLayer<P>,
    ) -> Result<WebhookLayer<P>> {
        if let Some((flag, url)) = self.store_url()? {
            let store = store_from_url(&url).map_err(|error| flag::of(&flag, &error))?;
            layer = layer.with_store(store);
        }
        if let Some(namespace) = &self.namespace {
            layer = layer.with_namespace(namespace);
        }
        if let Some(deadline) = self.answer_within {
            layer = layer.with_answer_deadline(deadline);
        }
        if let Some(lease) = self.lease {
            layer = layer.with_lease(lease);
        }
        if let Some(retention) = self.retention {
            layer = layer.with_retention(retention);
        }
        if self.once_per == OncePer::Tweet {
            layer = layer.with_once_per(Once::Tweet);
        }
        layer.with_run_limit(self.run_limit).check().map_err(flag::named)
    }

    /// Whether one was named: memory knows nothing at first.
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_some() || self.store_env.is_some()
    }

    pub(crate) fn limits<P: Provider + Default>(&self) -> Limits {
        let answer_within = self.answer_within.unwrap_or_else(|| P::default().answer_deadline());
        Limits { answer_within, run_limit: self.run_limit }
    }

    /// With the flag that it came from, as it stands in an error.
    fn store_url(&self) -> Result<Option<(String, String)>> {
        if let Some(name) = &self.store_env {
            return flag::variable("--store-env", name, "the URL of the store").map(Some);
        }
        let Some(url) = &self.store else { return Ok(None) };
        flag::without_password("--store", url)?;
        Ok(Some(("--store".to_owned(), url.clone())))
    }
}
