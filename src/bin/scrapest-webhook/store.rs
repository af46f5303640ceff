//! Where a receiver remembers deliveries: the flags that it shares with the commands that ask what it knows.

use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Provider, WebhookLayer};

use crate::{flag, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// Where deliveries are remembered: `memory:` (the default of `listen`), `sqlite:FILE`, `redis://…`, `postgres://…`
    ///
    /// The memory store is lost when the process ends. A URL with a password belongs in --store-env.
    #[arg(long, value_name = "URL", conflicts_with = "store_env")]
    store: Option<String>,

    /// The environment variable with the URL of the store, for a URL with a password
    #[arg(long, value_name = "NAME")]
    store_env: Option<String>,

    /// Separates webhooks that share a store: give each its own [default: the sender's name]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// How long a delivery is remembered [default: 70m in memory, else 24h]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(crate) retention: Option<Duration>,
}

impl StoreArgs {
    /// The layer with these flags. What is wrong with them is said by the flag's name.
    pub(crate) fn set_on<P: Provider>(
        &self,
        mut layer: WebhookLayer<P>,
    ) -> Result<WebhookLayer<P>> {
        if let Some((flag, url)) = self.url()? {
            let store = store_from_url(&url).map_err(|error| flag::of(&flag, &error))?;
            layer = layer.with_store(store);
        }
        if let Some(namespace) = &self.namespace {
            layer = layer.with_namespace(namespace);
        }
        if let Some(retention) = self.retention {
            layer = layer.with_retention(retention);
        }
        Ok(layer)
    }

    /// Whether one was named: memory knows nothing at first.
    pub(crate) fn is_named(&self) -> bool {
        self.store.is_some() || self.store_env.is_some()
    }

    /// Whether it is memory, which no other process can look into.
    pub(crate) fn is_memory(&self) -> bool {
        self.store.as_deref() == Some("memory:")
    }

    /// Whether there is anything that a store would be needed for.
    pub(crate) fn has_others(&self) -> bool {
        self.namespace.is_some() || self.retention.is_some()
    }

    /// With the flag that it came from, as it stands in an error.
    fn url(&self) -> Result<Option<(String, String)>> {
        if let Some(name) = &self.store_env {
            return flag::variable("--store-env", name, "the URL of the store").map(Some);
        }
        let Some(url) = &self.store else { return Ok(None) };
        flag::without_password("--store", url)?;
        Ok(Some(("--store".to_owned(), url.clone())))
    }
}

/// A layer for what the sender's API says. Nothing signed comes this way, so its secret is one that nobody knows.
pub(crate) fn unsigned<P: Provider + Default>() -> Result<WebhookLayer<P>> {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    WebhookLayer::<P>::try_new(&secret).context("a random secret")
}
