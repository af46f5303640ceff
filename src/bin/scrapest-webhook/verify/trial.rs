//! Runs a request through the crate's own layer, from which this command gets all its results.

use std::time::SystemTime;

use anyhow::{Result, anyhow};
use axum::Extension;
use axum::routing::{MethodRouter, any};
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{Delivery, Provider, Rejection, RejectionKind, Secret};
use tower_service::Service;

use super::request::Received;
use crate::checks::CheckArgs;
use crate::flag;
use crate::sender::Sender;

/// One request, and everything that determines the result.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) sender: Sender,
    pub(super) secrets: Vec<Secret>,
    pub(super) checks: CheckArgs,
    pub(super) at: SystemTime,
    pub(super) received: Received,
}

/// The layer's result.
#[derive(Debug)]
pub(super) enum Verdict {
    Valid(Delivery),
    Challenge,
    Refused(RejectionKind),
}

impl Verdict {
    /// Whether the signature is valid, even if another check fails.
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

    /// Uses a new store, so that no trial is a duplicate of another.
    async fn run_as<P: Provider + Default>(&self) -> Result<Verdict> {
        let at = self.at;
        let layer = self.checks.layer::<P>(&self.secrets)?;
        let layer = layer.with_clock(move || at).check().map_err(flag::named)?;
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
}
