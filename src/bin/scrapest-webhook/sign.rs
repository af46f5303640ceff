//! `sign`: the headers that a sender would send with a body.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::request::RequestArgs;
use crate::{client, curl, flag, output};

/// Print the headers that a sender sends with a body, one `name: value` per line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # The body is in a file: its headers, in the form that curl reads
  scrapest-webhook sign --sender scrapest --secret-env SECRET \\
    --file body.json > headers
  curl -H @headers --data-binary @body.json http://127.0.0.1:3000/webhooks

  # A sample of an event, as a command for the shell
  scrapest-webhook sign --sender scrapest --secret-env SECRET \\
    --event tweet.created --curl http://127.0.0.1:3000/webhooks

  # A sample of an event: its body goes to a file, exactly as signed
  scrapest-webhook sign --sender scrapest --secret-env SECRET \\
    --event tweet.created --body-out body.json")]
pub(crate) struct Sign {
    #[command(flatten)]
    request: RequestArgs,

    /// The file to write the signed body to
    #[arg(long, value_name = "FILE")]
    body_out: Option<PathBuf>,

    /// Print the headers, an empty line, and the signed body
    #[arg(long, conflicts_with = "curl")]
    body: bool,

    /// Print a curl command that posts the signed request to this URL
    #[arg(long, value_name = "URL")]
    curl: Option<String>,
}

impl Sign {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(url) = &self.curl {
            flag::without_password("--curl", url)?;
            client::url("--curl", url)?;
        }
        let request = self.request.read()?;
        let signed = request.unsigned.sign();
        let prints_body = self.body || self.curl.is_some();
        match &self.body_out {
            Some(path) => std::fs::write(path, signed.body())
                .with_context(|| format!("--body-out {} cannot be written", path.display()))?,
            None => ensure!(
                request.is_bare_body || prints_body,
                "--body-out: is missing, expected a file to write the signed body to, or --body or --curl"
            ),
        }
        if let Some(url) = &self.curl {
            output::print(curl::command(url, &signed))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::new();
        for (name, value) in signed.headers() {
            writeln!(text, "{name}: {value}")?;
        }
        let mut bytes = text.into_bytes();
        if self.body {
            bytes.push(b'\n');
            bytes.extend_from_slice(signed.body());
        }
        output::print(bytes)?;
        Ok(ExitCode::SUCCESS)
    }
}
