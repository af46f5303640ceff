//! The request that `send`, `trigger` and `sign` make, and the flags that describe it.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use clap_complete::ArgValueCandidates;
use http::HeaderValue;
use scrapest_webhook::Secret;
use scrapest_webhook::testing::WebhookRequest;

use crate::input::Input;
use crate::kind;
use crate::moment;
use crate::secret::SecretArgs;
use crate::sender::{Contract, Sender};

#[derive(Debug, clap::Args)]
pub(crate) struct RequestArgs {
    /// The sender whose requests to make
    #[arg(long)]
    pub(crate) sender: Sender,

    #[command(flatten)]
    secret: SecretArgs,

    /// The kind of the event: a sample of it is sent, or, with --file, the event header is set to it
    #[arg(long, value_name = "KIND", value_parser = header_text, long_help = event_help())]
    #[arg(add = ArgValueCandidates::new(kind::candidates))]
    event: Option<String>,

    /// The body: a file with its bytes or a request that `listen --record` has written; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The delivery id [default: a new one for each delivery]
    #[arg(long, value_parser = header_text)]
    pub(crate) id: Option<String>,

    /// The time of the event and of the attempt, as RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    pub(crate) timestamp: Option<SystemTime>,

    /// scrapest: sign the timestamp's header with the body
    #[arg(long)]
    signed_timestamp: bool,

    /// scrapebadger: which of its two published formats [default: 1]
    #[arg(long, value_name = "VERSION")]
    contract: Option<Contract>,
}

fn event_help() -> String {
    format!(
        "The kind of the event: a sample of it is sent, or, with --file, the event header is set to it\n\n{}",
        kind::help()
    )
}

impl RequestArgs {
    /// A sample of this kind, signed anew with every run.
    pub(crate) fn of_kind(sender: Sender, secret: SecretArgs, kind: String) -> Self {
        Self {
            sender,
            secret,
            event: Some(kind),
            file: None,
            id: None,
            timestamp: None,
            signed_timestamp: false,
            contract: None,
        }
    }

    /// The request, with everything that is the same for each delivery.
    pub(crate) fn read(&self) -> Result<Request> {
        self.read_signed_by(self.secret.read_one()?)
    }

    /// The same, signed with a secret other than the given one.
    pub(crate) fn read_forged(&self) -> Result<Request> {
        self.secret.read_one()?;
        self.read_signed_by(format!("{:032x}", rand::random::<u128>()).into())
    }

    fn read_signed_by(&self, secret: Secret) -> Result<Request> {
        let scrapest = self.sender == Sender::Scrapest;
        ensure!(
            scrapest || !self.signed_timestamp,
            "--signed-timestamp: is for --sender scrapest, scrapebadger signs only the body"
        );
        ensure!(!scrapest || self.contract.is_none(), "--contract: is for --sender scrapebadger");
        ensure!(
            scrapest || self.file.is_none() || self.timestamp.is_none(),
            "--timestamp: the time of a scrapebadger request is in its body, change it in --file"
        );
        // Of the two formats only the second knows this kind.
        let contract = match (self.contract, self.event.as_deref()) {
            (None, Some("tweet.detected")) if !scrapest => Some(Contract::Two),
            (contract, _) => contract,
        };
        let mut request = self.sender.request(contract, secret);
        if let Some(kind) = &self.event {
            if self.file.is_none() {
                kind::warn_if_unknown(self.sender, kind);
            }
            request = request.with_kind(kind);
        }
        let mut is_bare_body = false;
        if let Some(path) = &self.file {
            let input = Input::read(path)?;
            is_bare_body = matches!(input, Input::Body(_));
            request = request.with_body(input.into_body(path)?);
        }
        if let Some(id) = &self.id {
            request = request.with_delivery_id(id);
        }
        if let Some(time) = self.timestamp {
            request = request.with_time(time);
        }
        if self.signed_timestamp {
            request = request.with_signed_timestamp();
        }
        Ok(Request { unsigned: request, is_bare_body })
    }
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) unsigned: WebhookRequest,
    /// Whether `--file` is the body and nothing else, so that the user has the body already.
    pub(crate) is_bare_body: bool,
}

/// Text that can be the value of a header, and be read out of it again.
pub(crate) fn header_text(text: &str) -> Result<String, String> {
    match HeaderValue::from_str(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected text that a header can carry".to_owned()),
    }
}
