//! The request that `send` and `sign` make: what the flags that they share say of it.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use http::HeaderValue;
use scrapest_webhook::Secret;
use scrapest_webhook::testing::WebhookRequest;

use crate::input::Input;
use crate::moment;
use crate::secret::SecretArgs;
use crate::sender::{Contract, Sender};

#[derive(Debug, clap::Args)]
pub(crate) struct RequestArgs {
    /// Whose requests
    #[arg(long)]
    pub(crate) sender: Sender,

    #[command(flatten)]
    secret: SecretArgs,

    /// The kind of the event, like tweet.created: a sample of it, or what the event's header says
    /// beside the body of --file
    #[arg(long, value_name = "KIND", value_parser = header_text)]
    event: Option<String>,

    /// The body: a file with its bytes or a request that `listen --record` has written; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The delivery id [default: a new one for each]
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

impl RequestArgs {
    /// The request, with all that is the same for each delivery.
    pub(crate) fn read(&self) -> Result<Request> {
        self.read_signed_by(self.secret.read_one()?)
    }

    /// The same, signed by another than the secret that is given.
    pub(crate) fn read_forged(&self) -> Result<Request> {
        self.secret.read_one()?;
        self.read_signed_by(format!("{:032x}", rand::random::<u128>()).into())
    }

    fn read_signed_by(&self, secret: Secret) -> Result<Request> {
        let scrapest = self.sender == Sender::Scrapest;
        ensure!(
            scrapest || !self.signed_timestamp,
            "--signed-timestamp: is for --sender scrapest, the other signs the body alone"
        );
        ensure!(!scrapest || self.contract.is_none(), "--contract: is for --sender scrapebadger");
        ensure!(
            scrapest || self.file.is_none() || self.timestamp.is_none(),
            "--timestamp: the time of a scrapebadger request stands in its body, change it in --file"
        );
        let mut request = self.sender.request(self.contract, secret);
        if let Some(kind) = &self.event {
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
    /// Whether `--file` is the body and nothing else, so that whoever runs the command has it.
    pub(crate) is_bare_body: bool,
}

/// What can stand in a header, and be read out of it again.
fn header_text(text: &str) -> Result<String, String> {
    match HeaderValue::from_str(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("expected text that a header can carry".to_owned()),
    }
}
