//! A request put through the crate's own layer: every answer of this command is found in this way.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use axum::Extension;
use axum::routing::{MethodRouter, any};
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{
    ConfigError, Delivery, Provider, Rejection, RejectionKind, Secret, WebhookLayer,
};
use tower_service::Service;

use super::request::Received;
use crate::sender::Sender;
use crate::{flag, moment};

/// The settings of the receiver whose place this command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Settings {
    /// How old a timestamp may be [default: as the receiver's]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(super) past_tolerance: Option<Duration>,

    /// How far ahead a timestamp may be [default: as the receiver's]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    pub(super) future_tolerance: Option<Duration>,

    /// The longest body, in bytes, or with KiB or MiB [default: as the receiver's]
    #[arg(long, value_name = "BYTES", value_parser = flag::size)]
    max_body: Option<usize>,
}

/// One request, and everything that decides on it.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) sender: Sender,
    pub(super) secrets: Vec<Secret>,
    pub(super) settings: Settings,
    pub(super) at: SystemTime,
    pub(super) received: Received,
}

/// What the layer says to it.
#[derive(Debug)]
pub(super) enum Verdict {
    Valid(Delivery),
    Challenge,
    Refused(RejectionKind),
}

impl Verdict {
    /// Whether the signature is right, whatever else is not.
    pub(super) fn is_signed(&self) -> bool {
        match self {
            Self::Valid(_) | Self::Challenge => true,
            Self::Refused(kind) => {
                matches!(kind, RejectionKind::Stale | RejectionKind::NoSignedTimestamp)
            }
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl Trial {
    pub(super) async fn run(&self) -> Result<Verdict> {
        match self.sender {
            Sender::Scrapest => self.run_as::<Scrapest>().await,
            Sender::ScrapeBadger => self.run_as::<ScrapeBadger>().await,
        }
    }

    /// The headers that may carry the sender's signature.
    pub(super) fn signature_headers(&self) -> Vec<String> {
        fn of(provider: &impl Provider) -> Vec<String> {
            provider.signature_headers().map(str::to_owned).collect()
        }
        match self.sender {
            Sender::Scrapest => of(&Scrapest::default()),
            Sender::ScrapeBadger => of(&ScrapeBadger::default()),
        }
    }

    /// With a store of its own, so that no trial is the duplicate of another.
    async fn run_as<P: Provider + Default>(&self) -> Result<Verdict> {
        let layer = self.layer::<P>().map_err(flag::named)?;
        let mut receiver: MethodRouter =
            any(async |delivery: Delivery| Extension(delivery)).layer(layer);
        let Ok(response) = receiver.call(self.received.to_http()).await;
        let extensions = response.extensions();
        match (extensions.get::<Delivery>(), extensions.get::<Rejection>().map(Rejection::kind)) {
            (Some(delivery), _) => Ok(Verdict::Valid(delivery.clone())),
            (None, Some(RejectionKind::Challenge)) => Ok(Verdict::Challenge),
            (None, Some(kind)) => Ok(Verdict::Refused(kind)),
            (None, None) => {
                Err(anyhow!("the layer answered {} without a reason", response.status()))
            }
        }
    }

    fn layer<P: Provider + Default>(&self) -> Result<WebhookLayer<P>, ConfigError> {
        let mut secrets = self.secrets.iter().cloned();
        let mut layer = WebhookLayer::try_new(secrets.next().unwrap_or_else(|| "".into()))?;
        for secret in secrets {
            layer = layer.with_additional_secret(secret)?;
        }
        if let Some(tolerance) = self.settings.past_tolerance {
            layer = layer.with_past_tolerance(tolerance);
        }
        if let Some(tolerance) = self.settings.future_tolerance {
            layer = layer.with_future_tolerance(tolerance);
        }
        if let Some(limit) = self.settings.max_body {
            layer = layer.with_body_limit(limit).with_bytes_in_flight(limit);
        }
        let at = self.at;
        layer.with_clock(move || at).check()
    }
}
