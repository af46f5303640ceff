//! The flags for a receiver's checks, which `listen` and `verify` share.

use std::time::Duration;

use anyhow::Result;
use scrapest_webhook::{Provider, Secret, Secrets, WebhookLayer};

use crate::{flag, moment};

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CheckArgs {
    /// The body limit, in bytes or with a unit like 64KiB or 1MiB; at most 64MiB [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = flag::size)]
    max_body: Option<usize>,

    /// How old a timestamp may be, like 30m; the sender's retries must fit into it [default: 1h, and 5m for a
    /// signed timestamp of the attempt]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(crate) past_tolerance: Option<Duration>,

    /// How far ahead of this machine's clock a timestamp may be [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(crate) future_tolerance: Option<Duration>,
}

impl CheckArgs {
    /// Creates a layer with these flags and these secrets.
    pub(crate) fn layer<P>(&self, secrets: &[Secret]) -> Result<WebhookLayer<P>>
    where
        P: Provider + Default,
    {
        let secrets = Secrets::new(secrets.iter().cloned()).map_err(flag::named)?;
        Ok(self.set_on(WebhookLayer::<P>::from_secrets(secrets)))
    }

    /// Applies these flags to a layer.
    pub(crate) fn set_on<P: Provider>(&self, mut layer: WebhookLayer<P>) -> WebhookLayer<P> {
        if let Some(bytes) = self.max_body {
            layer = layer.with_body_limit(bytes);
        }
        if let Some(tolerance) = self.past_tolerance {
            layer = layer.with_past_tolerance(tolerance);
        }
        if let Some(tolerance) = self.future_tolerance {
            layer = layer.with_future_tolerance(tolerance);
        }
        layer
    }
}
