//! The request of `send`, `trigger` and `sign`, and the flags that describe it.

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
    /// The sender of the request
    #[arg(long)]
    pub(crate) sender: Sender,

    #[command(flatten)]
    secret: SecretArgs,

    /// The kind of the event: a sample of it is sent, or, with --file, the event header names it
    #[arg(long, value_name = "KIND", value_parser = header_text, long_help = event_help())]
    #[arg(add = ArgValueCandidates::new(kind::candidates))]
    event: Option<String>,

    /// The body: a file with its bytes, or a request that `listen --record` has written; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The delivery id [default: a new one for each delivery]
    #[arg(long, value_parser = header_text)]
    pub(crate) id: Option<String>,

    /// The time of the event and of the attempt, as RFC 3339 or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment::parse, allow_negative_numbers = true)]
    pub(crate) timestamp: Option<SystemTime>,

    /// scrapest: sign the timestamp header with the body
    #[arg(long)]
    signed_timestamp: bool,

    /// scrapebadger: which of its two published formats to use [default: 1]
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
    /// A sample of this kind, signed again in every run.
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

    /// Reads the parts of the request that are the same for each delivery.
    pub(crate) fn read(&self) -> Result<Request> {
        self.read_signed_by(self.secret.read_one()?)
    }

    /// Reads the request, but signs it with a secret other than the given one.
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
        // Only the second of the two formats has this kind.
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
    /// Whether `--file` is only the body, so that the user already has the body.
    pub(crate) is_bare_body: bool,
}

/// Checks that the text can be the value of a header, and can be read back unchanged.
pub(crate) fn header_text(text: &str) -> Result<String, String> {
    match HeaderValue::from_str(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected text that a header can carry".to_owned()),
    }
}
