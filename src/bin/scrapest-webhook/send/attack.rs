//! Requests that a receiver must refuse.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use scrapest_webhook::testing::{SignedRequest, WebhookRequest};

use super::new_id;
use crate::request::{Request, RequestArgs};
use crate::sender::Sender;

/// Far beyond the tolerance of any receiver.
const LONG_AGO: Duration = Duration::from_secs(30 * 24 * 3_600);

/// One more than the documented maximum.
const TOO_LARGE: usize = 1_048_576 + 1;

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Attacks, each sent once: all but a replay must be refused")]
pub(super) struct AttackArgs {
    /// Sign with another secret
    #[arg(long)]
    forge: bool,

    /// Sign correctly, but with a time of 30 days ago
    #[arg(long, conflicts_with = "timestamp")]
    stale: bool,

    /// Send a delivery, then the same signed bytes with a new id
    #[arg(long, conflicts_with = "id")]
    replay_new_id: bool,

    /// Change one byte of the body after signing it
    #[arg(long)]
    tamper: bool,

    /// Declare gzip encoding in the header only
    #[arg(long)]
    gzip: bool,

    /// Sign a body of 1 MiB and one byte, padded with spaces
    #[arg(long)]
    oversize: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    Forge,
    Stale,
    ReplayNewId,
    Tamper,
    Gzip,
    Oversize,
}

impl AttackArgs {
    pub(super) fn chosen(&self) -> Option<Attack> {
        [
            (self.forge, Attack::Forge),
            (self.stale, Attack::Stale),
            (self.replay_new_id, Attack::ReplayNewId),
            (self.tamper, Attack::Tamper),
            (self.gzip, Attack::Gzip),
            (self.oversize, Attack::Oversize),
        ]
        .into_iter()
        .find_map(|(given, attack)| given.then_some(attack))
    }
}

impl Attack {
    pub(super) fn read(self, args: &RequestArgs) -> Result<Request> {
        if self == Self::Stale && args.sender == Sender::ScrapeBadger && args.file.is_some() {
            bail!("--stale: the time of a scrapebadger request is in its body, expected no --file");
        }
        if self == Self::Forge { args.read_forged() } else { args.read() }
    }

    /// The requests to send in order. The last is the attack.
    pub(super) fn requests(self, delivery: WebhookRequest) -> Vec<SignedRequest> {
        match self {
            Self::Forge => vec![delivery.sign()],
            Self::Stale => vec![delivery.with_time(SystemTime::now() - LONG_AGO).sign()],
            Self::ReplayNewId => {
                let genuine = delivery.clone().sign();
                let again = delivery.with_body(genuine.body().clone()).with_delivery_id(new_id());
                vec![genuine, again.sign()]
            }
            Self::Tamper => {
                let signed = delivery.sign();
                let mut body = signed.body().to_vec();
                let middle = body.len() / 2;
                match body.get_mut(middle) {
                    Some(byte) => *byte ^= 1,
                    None => body.push(b' '),
                }
                vec![signed.with_body(body)]
            }
            Self::Gzip => vec![delivery.sign().with_header("content-encoding", "gzip")],
            Self::Oversize => {
                let mut body = delivery.clone().sign().body().to_vec();
                body.resize(body.len().max(TOO_LARGE), b' ');
                vec![delivery.with_body(body).sign()]
            }
        }
    }

    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Forge => "--forge",
            Self::Stale => "--stale",
            Self::ReplayNewId => "--replay-new-id",
            Self::Tamper => "--tamper",
            Self::Gzip => "--gzip",
            Self::Oversize => "--oversize",
        }
    }

    /// What a 2xx means for the receiver.
    pub(super) fn accepted(self) -> &'static str {
        match self {
            Self::Forge => "this receiver accepts a signature made with another secret",
            Self::Stale => "this receiver does not check the time",
            Self::ReplayNewId => {
                "as a duplicate should be; only the receiver can tell whether its handler ran again"
            }
            Self::Tamper => "this receiver does not verify the raw body",
            Self::Gzip => "this receiver accepts encoded bodies",
            Self::Oversize => "this receiver does not limit bodies to 1 MiB",
        }
    }
}
