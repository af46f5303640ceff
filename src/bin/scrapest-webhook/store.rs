//! The flags for the receiver's store, which other commands that read the store share.

use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use scrapest_webhook::store::store_from_url;
use scrapest_webhook::{Provider, WebhookLayer};

use crate::{flag, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The store of deliveries: `memory:` (the default of `listen`), `sqlite:FILE`, `redis://…`, `postgres://…`
    ///
    /// The memory store is lost when the process ends. A URL with a password belongs in --store-env.
    #[arg(long, value_name = "URL", conflicts_with = "store_env")]
    store: Option<String>,

    /// The environment variable that contains the URL of the store, if it has a password
    #[arg(long, value_name = "NAME")]
    store_env: Option<String>,

    /// Separates webhooks that share a store: give each its own namespace [default: the sender's name]
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,

    /// How long a delivery is remembered [default: 70m in memory, else 24h]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(crate) retention: Option<Duration>,
}

impl StoreArgs {
    /// Applies these flags to a layer. Errors use the names of the flags.
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

    /// Whether a store was given. The memory store is empty at the start.
    pub(crate) fn is_named(&self) -> bool {
        self.store.is_some() || self.store_env.is_some()
    }

    /// Whether it is the memory store, which no other process can read.
    pub(crate) fn is_memory(&self) -> bool {
        self.store.as_deref() == Some("memory:")
    }

    /// Whether flags are set that need a store.
    pub(crate) fn has_others(&self) -> bool {
        self.namespace.is_some() || self.retention.is_some()
    }

    /// The URL, with the name of its flag for errors.
    fn url(&self) -> Result<Option<(String, String)>> {
        if let Some(name) = &self.store_env {
            return flag::variable("--store-env", name, "the URL of the store").map(Some);
        }
        let Some(url) = &self.store else { return Ok(None) };
        flag::without_password("--store", url)?;
        Ok(Some(("--store".to_owned(), url.clone())))
    }
}

/// Creates a layer for data from the sender's API. It receives nothing signed, so its secret is random and
/// unknown.
pub(crate) fn unsigned<P: Provider + Default>() -> Result<WebhookLayer<P>> {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    WebhookLayer::<P>::try_new(&secret).context("a random secret")
}
