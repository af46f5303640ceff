//! `sign`: the headers that a sender would send with a body.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::output;
use crate::request::RequestArgs;

/// Print the headers that a sender sends with a body, one `name: value` a line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # The body is in a file: its headers, in the form that curl takes
  scrapest-webhook sign --sender scrapest --secret-env SECRET \\
    --file body.json > headers
  curl -H @headers --data-binary @body.json http://127.0.0.1:3000/webhooks

  # A sample of an event: its body goes to a file, exactly as signed
  scrapest-webhook sign --sender scrapest --secret-env SECRET \\
    --event tweet.created --body-out body.json")]
pub(crate) struct Sign {
    #[command(flatten)]
    request: RequestArgs,

    /// Where to write the body that is signed; needed unless --file is a file of just this body
    #[arg(long, value_name = "FILE")]
    body_out: Option<PathBuf>,
}

impl Sign {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let request = self.request.read()?;
        let signed = request.unsigned.sign();
        match &self.body_out {
            Some(path) => std::fs::write(path, signed.body())
                .with_context(|| format!("--body-out {} cannot be written", path.display()))?,
            None => ensure!(
                request.is_bare_body,
                "--body-out: is missing, expected a file to write the signed body to"
            ),
        }
        let mut text = String::new();
        for (name, value) in signed.headers() {
            writeln!(text, "{name}: {value}")?;
        }
        output::print(text)?;
        Ok(ExitCode::SUCCESS)
    }
}
