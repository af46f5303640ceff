//! `verify`: checks whether a request would be accepted, and if not, why.

mod body;
mod causes;
mod changes;
mod freshness;
mod request;
mod secrets;
mod trial;
mod units;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use scrapest_webhook::RejectionKind;

use self::request::Received;
use self::trial::{Trial, Verdict};
use crate::checks::CheckArgs;
use crate::recording::Recording;
use crate::secret::SecretArgs;
use crate::sender::Sender;
use crate::{moment, output};

/// Check whether a request is valid, and if not, which check fails and why
///
/// Exit status: 0 if it is valid, 1 if not, 2 on any error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # A request that `listen --record` has written, checked as of the time it was received
  scrapest-webhook verify --sender scrapest --secret-env SECRET \\
    --file request.http

  # A body and its headers, from wherever they were logged
  scrapest-webhook verify --sender scrapebadger --secret-env SECRET \\
    --file body.json --at 2026-03-04T12:00:01Z \\
    --header 'X-ScrapeBadger-Signature: sha256=2ce13bdc…'")]
pub(crate) struct Verify {
    /// The sender of the request
    #[arg(long)]
    sender: Sender,

    #[command(flatten)]
    secret: SecretArgs,

    /// A request that `listen --record` has written, or a file with the raw body; - is stdin
    #[arg(long, value_name = "FILE")]
    file: PathBuf,

    /// A header of the request, as `name: value`, or a file of headers as @FILE; replaces the header of the same
    /// name in a recording
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,

    /// The time of the check, as RFC 3339 or seconds since 1970 [default: when the request was recorded, else now]
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    at: Option<SystemTime>,

    #[command(flatten)]
    checks: CheckArgs,
}

/// The check that fails, the reason, and the likely causes.
#[derive(Debug)]
pub(crate) struct Refusal {
    check: RejectionKind,
    pub(crate) why: String,
    pub(crate) causes: Vec<String>,
}

/// Explains the refusal of a request that was just received. `None` if these checks accept it.
pub(crate) async fn explain(
    sender: Sender,
    secret: &SecretArgs,
    checks: &CheckArgs,
    recording: Recording,
) -> Result<Option<Refusal>> {
    let at = recording.received.map_or_else(SystemTime::now, SystemTime::from);
    let received = Received::recorded(recording)?;
    let trial = Trial { sender, secrets: secret.read()?, checks: checks.clone(), at, received };
    match trial.run().await? {
        Verdict::Valid(_) | Verdict::Challenge => Ok(None),
        Verdict::Refused(check) => causes::find(&trial, check, &secret.raw()).await.map(Some),
    }
}

impl Verify {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let (received, recorded_at) = Received::read(&self.file, &self.header)?;
        let trial = Trial {
            sender: self.sender,
            secrets: self.secret.read()?,
            checks: self.checks,
            at: self.at.or(recorded_at).unwrap_or_else(SystemTime::now),
            received,
        };
        let (text, code) = match trial.run().await? {
            Verdict::Valid(delivery) => {
                let mut parts = vec![match delivery.id() {
                    Some(id) => format!("delivery {}", id.escape_debug()),
                    None => "a delivery without an id".to_owned(),
                }];
                parts.extend(delivery.kind().map(|kind| kind.escape_debug().to_string()));
                parts.extend(delivery.timestamp().map(|time| moment::show(time.into())));
                parts.push(format!("{} bytes", delivery.body().len()));
                (format!("valid: {}\n", parts.join(", ")), ExitCode::SUCCESS)
            }
            Verdict::Challenge => {
                let text = "valid: a challenge, which a receiver answers with its value\n";
                (text.to_owned(), ExitCode::SUCCESS)
            }
            Verdict::Refused(check) => {
                let refusal = causes::find(&trial, check, &self.secret.raw()).await?;
                (refusal.to_string(), ExitCode::from(1))
            }
        };
        let refused = refused_otherwise(trial.received.answer.as_deref());
        let first = refused.map_or_else(String::new, |answer| {
            format!("answered when it was received: {}\n", answer.escape_debug())
        });
        output::print(first + &text)?;
        Ok(code)
    }
}

/// The receiver's response, if it refused the request for a reason other than these checks.
fn refused_otherwise(answer: Option<&str>) -> Option<&str> {
    use RejectionKind as Kind;
    let checked = [
        Kind::MissingSignature,
        Kind::RepeatedSignature,
        Kind::MalformedSignature,
        Kind::UnknownWebhook,
        Kind::WrongSignature,
        Kind::NoSignedTimestamp,
        Kind::Stale,
    ];
    answer.filter(|answer| {
        !answer.starts_with('2') && !checked.iter().any(|kind| answer.ends_with(kind.as_str()))
    })
}

impl Refusal {
    pub(crate) fn check(&self) -> RejectionKind {
        self.check
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "invalid: {}", self.check.as_str())?;
        writeln!(f, "why: {}", self.why)?;
        self.causes.iter().try_for_each(|cause| writeln!(f, "likely cause: {cause}"))
    }
}
