//! The layer's settings as flags.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Provider, WebhookLayer};

use crate::flag;
use crate::secret::SecretArgs;

/// What all bodies together may take of memory: the layer's default, so one body cannot have more.
const MOST_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    #[command(flatten)]
    secret: SecretArgs,

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

    /// The longest body, in bytes or like 64KiB, 1MiB; at most 64MiB [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = flag::size)]
    max_body: Option<usize>,

    /// How old a timestamp may be, like 30m; the sender's retries must fit into it [default: 1h, and 5m for
    /// a signed one of the attempt]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    past_tolerance: Option<Duration>,

    /// How far ahead of this clock a timestamp may be [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    future_tolerance: Option<Duration>,

    /// When the sender is answered at the latest: after that it gets 503, and what runs goes on
    /// [default: 4s for Scrapest, 8s for ScrapeBadger]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    answer_within: Option<Duration>,

    /// How long one attempt at a delivery may run; then it is ended, and the delivery free for the retry
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    run_limit: Duration,

    /// How long a retry has to wait after a crash in the middle of an attempt [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lease: Option<Duration>,

    /// How long a delivery is remembered [default: 70m in memory, else 24h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retention: Option<Duration>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) answer_within: Duration,
    pub(super) run_limit: Duration,
}

impl Settings {
    /// The layer of these flags. What is wrong with them is said by the flag's name.
    pub(super) fn layer<P: Provider + Default>(&self) -> Result<WebhookLayer<P>> {
        let mut secrets = self.secret.read()?.into_iter();
        let first = secrets.next().context("--secret-env or --secret-file: give one")?;
        let mut layer = WebhookLayer::<P>::try_new(first).map_err(flag::named)?;
        for secret in secrets {
            layer = layer.with_additional_secret(secret).map_err(flag::named)?;
        }
        if let Some((flag, url)) = self.store_url()? {
            let store = store_from_url(&url).map_err(|error| flag::of(&flag, &error))?;
            layer = layer.with_store(store);
        }
        if let Some(namespace) = &self.namespace {
            layer = layer.with_namespace(namespace);
        }
        if let Some(bytes) = self.max_body {
            ensure!(bytes <= MOST_BODY, "--max-body: is {bytes} bytes, expected at most 64MiB");
            layer = layer.with_body_limit(bytes);
        }
        if let Some(tolerance) = self.past_tolerance {
            layer = layer.with_past_tolerance(tolerance);
        }
        if let Some(tolerance) = self.future_tolerance {
            layer = layer.with_future_tolerance(tolerance);
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
        layer.with_run_limit(self.run_limit).check().map_err(flag::named)
    }

    pub(super) fn limits<P: Provider + Default>(&self) -> Limits {
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
