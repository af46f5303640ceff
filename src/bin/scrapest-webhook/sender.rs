//! The sender that a command is about.

use std::time::Duration;

use clap::ValueEnum;
use scrapest_webhook::Secret;
use scrapest_webhook::testing::{self, WebhookRequest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sender {
    Scrapest,
    #[value(name = "scrapebadger")]
    ScrapeBadger,
}

/// The two published versions of ScrapeBadger's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contract {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

impl Sender {
    /// An unsigned request from this sender.
    pub(crate) fn request(self, contract: Option<Contract>, secret: Secret) -> WebhookRequest {
        match (self, contract) {
            (Self::Scrapest, _) => testing::scrapest(secret),
            (Self::ScrapeBadger, Some(Contract::Two)) => testing::scrapebadger_contract_2(secret),
            (Self::ScrapeBadger, _) => testing::scrapebadger(secret),
        }
    }

    /// How long the sender waits for a response.
    pub(crate) fn timeout(self) -> Duration {
        match self {
            Self::Scrapest => Duration::from_secs(5),
            Self::ScrapeBadger => Duration::from_secs(10),
        }
    }

    /// How often the sender retries.
    pub(crate) fn retries(self) -> usize {
        match self {
            Self::Scrapest => 5,
            Self::ScrapeBadger => 3,
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Scrapest => Self::ScrapeBadger,
            Self::ScrapeBadger => Self::Scrapest,
        }
    }

    /// The name in `--sender`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scrapest => "scrapest",
            Self::ScrapeBadger => "scrapebadger",
        }
    }
}
