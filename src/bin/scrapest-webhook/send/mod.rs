//! `send`: acts as a sender, well-behaved or not; `trigger`: sends one delivery of a sample event.

mod attack;
mod post;
mod run;
mod summary;
mod trigger;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use scrapest_webhook::testing::WebhookRequest;

use self::attack::AttackArgs;
use self::post::Client;
use self::run::Run;
pub(crate) use self::trigger::Trigger;
use crate::request::RequestArgs;
use crate::sender::Sender;
use crate::{client, flag, moment, output};

/// Send deliveries as the sender does, or as an attacker would
///
/// A delivery that does not get a 2xx in time is sent again after the next pause of --backoff, with the same id
/// and the same bytes. A Retry-After is ignored: neither sender is known to follow it. Exit status 1 means that a
/// delivery was given up, or that an attack was not refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # One delivery of a sample event
  scrapest-webhook send --sender scrapest --secret-env SECRET \\
    --to http://127.0.0.1:3000/webhooks

  # Load: 10,000 deliveries, 500 started per second, however fast the receiver is
  scrapest-webhook send --sender scrapebadger --secret-env SECRET \\
    --to http://127.0.0.1:3000/webhooks --count 10000 --rate 500

  # Does the receiver refuse what is not signed with the secret?
  scrapest-webhook send --sender scrapest --secret-env SECRET \\
    --to http://127.0.0.1:3000/webhooks --forge")]
pub(crate) struct Send {
    #[command(flatten)]
    request: RequestArgs,

    /// The URL of the receiver
    #[arg(long, value_name = "URL")]
    to: String,

    /// How many deliveries to send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// Start this many deliveries per second, even while earlier ones wait for their response; each latency counts
    /// from the time at which its delivery was due
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,

    /// The maximum number of deliveries at a time, including those that wait for their retry [default: 10; with
    /// --rate 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,

    /// Send each delivery this many more times, at the same time, with the same id and the same bytes
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1_000), conflicts_with = "AttackArgs")]
    duplicates: u16,

    /// How often to retry [default: 5 for scrapest, 3 for scrapebadger, like the senders]
    #[arg(long, value_name = "N", conflicts_with = "AttackArgs")]
    retries: Option<usize>,

    /// The pauses before the retries; the last one is repeated
    #[arg(
        long,
        value_name = "DURATIONS",
        value_delimiter = ',',
        default_value = "1s,2s,4s,8s,16s",
        value_parser = moment::span,
        conflicts_with = "AttackArgs"
    )]
    backoff: Vec<Duration>,

    /// How long to wait for a response [default: 5s for scrapest, 10s for scrapebadger, like the senders]
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    timeout: Option<Duration>,

    /// Also trust the certificates in this PEM file, in addition to those of the system
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,

    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,

    // Last, because its heading applies to all flags after it.
    #[command(flatten)]
    attack: AttackArgs,
}

impl Send {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        flag::without_password("--to", &self.to)?;
        let to = client::url("--to", &self.to)?;
        let attack = self.attack.chosen();
        let request = match attack {
            Some(attack) => attack.read(&self.request)?,
            None => self.request.read()?,
        };
        if self.count > 1 && attack.is_none() {
            self.note_what_is_the_same();
        }
        let sender = self.request.sender;
        let client = Client::new(
            to,
            self.timeout.unwrap_or_else(|| sender.timeout()),
            self.ca_cert.as_deref(),
        )?;
        let usual = if self.rate.is_some() { 512 } else { 10 };
        let run = Run {
            client,
            template: Template {
                unsigned: request.unsigned,
                id: self.request.id,
                time: self.request.timestamp,
            },
            attack,
            count: self.count,
            rate: self.rate,
            concurrency: self.concurrency.unwrap_or(usual).into(),
            copies: 1 + usize::from(self.duplicates),
            retries: self.retries.unwrap_or_else(|| sender.retries()),
            backoff: self.backoff,
        };
        let summary = run.finish().await?;
        output::print(if self.json { summary.to_json() } else { summary.to_string() })?;
        Ok(ExitCode::from(u8::from(!summary.is_success())))
    }

    /// Warns if the deliveries share an id or bytes, because a receiver then handles only one of them.
    fn note_what_is_the_same(&self) {
        // A body from a file, or one whose only variable part is its time.
        let same_bytes = self.request.file.is_some()
            || (self.request.sender == Sender::ScrapeBadger && self.request.timestamp.is_some());
        let what = match (&self.request.id, same_bytes) {
            (Some(_), _) => "id",
            (None, true) => "bytes",
            (None, false) => return,
        };
        output::say(format_args!(
            "note: all {} deliveries have the same {what}; a receiver that deduplicates by it handles only one",
            self.count
        ));
    }
}

/// The parts that all deliveries share.
#[derive(Debug)]
struct Template {
    unsigned: WebhookRequest,
    id: Option<String>,
    time: Option<SystemTime>,
}

impl Template {
    /// Creates a delivery. Unless the flags say otherwise, it has the current time and a new id.
    fn delivery(&self) -> WebhookRequest {
        self.unsigned
            .clone()
            .with_delivery_id(self.id.clone().unwrap_or_else(new_id))
            .with_time(self.time.unwrap_or_else(SystemTime::now))
    }
}

fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn rate(text: &str) -> Result<f64, String> {
    // These limits prevent an overflow of the time.
    let rate = text.parse().ok().filter(|rate| (0.001..=1_000_000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.001 to 1000000".to_owned())
}
