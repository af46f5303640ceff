//! `trigger`: one delivery of a sample event.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser};
use clap_complete::ArgValueCandidates;

use super::Send;
use crate::kind;
use crate::request::RequestArgs;
use crate::secret::SecretArgs;
use crate::sender::Sender;

/// Send one sample event, as the sender would
///
/// A short form of `send --event`, which has more flags.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  scrapest-webhook trigger tweet.created --sender scrapest --secret-env SECRET")]
pub(crate) struct Trigger {
    /// The kind of the event
    #[arg(long_help = format!("The kind of the event\n\n{}", kind::help()))]
    #[arg(value_parser = crate::request::header_text, add = ArgValueCandidates::new(kind::candidates))]
    kind: String,

    /// The sender of the event
    #[arg(long)]
    sender: Sender,

    #[command(flatten)]
    secret: SecretArgs,

    /// The URL of the receiver
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/webhooks")]
    to: String,
}

/// Provides the defaults of `send`.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    send: Send,
}

impl Trigger {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        // The environment is not read here, so any name of a variable is valid.
        let arguments =
            ["send", "--sender", self.sender.name(), "--to", &self.to, "--secret-env", "X"];
        let matches = Defaults::command().try_get_matches_from(arguments)?;
        let mut send = Defaults::from_arg_matches(&matches)?.send;
        send.request = RequestArgs::of_kind(self.sender, self.secret, self.kind);
        send.run().await
    }
}
