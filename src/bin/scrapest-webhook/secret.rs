//! Where the secrets come from: never from the command line, where `ps` would show them.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use scrapest_webhook::{ScrapestWebhookLayer, Secret};
use zeroize::Zeroizing;

use crate::flag;

/// The flags of every command that needs a secret.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SecretArgs {
    /// The environment variable that has the secret; repeat it for the secrets of a rotation
    #[arg(long, value_name = "NAME")]
    secret_env: Vec<String>,

    /// A file that has the secret; one line feed at its end is no part of it
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
}

impl SecretArgs {
    /// All of them, at least one.
    pub(crate) fn read(&self) -> Result<Vec<Secret>> {
        let named = self.secret_env.iter().map(|name| {
            let flag = flag::of_variable("--secret-env", name)?;
            Secret::from_env(name).map_err(|error| flag::of(&flag, &error))
        });
        let filed = self.secret_file.iter().map(|path| {
            let flag = format!("--secret-file {}", path.display());
            Secret::from_file(path).map_err(|error| flag::of(&flag, &error))
        });
        named.chain(filed).collect()
    }

    /// The one to sign with; a sender has no second.
    pub(crate) fn read_one(&self) -> Result<Secret> {
        let mut secrets = self.read()?;
        let count = secrets.len();
        match secrets.pop() {
            Some(secret) if count == 1 => {
                // What no receiver would take as its secret.
                let flag =
                    if self.secret_env.is_empty() { "--secret-file" } else { "--secret-env" };
                ScrapestWebhookLayer::try_new(secret.clone())
                    .map_err(|error| flag::of(flag, &error))?;
                Ok(secret)
            }
            _ => bail!(
                "--secret-env, --secret-file: {count} secrets are given, expected one to sign with"
            ),
        }
    }

    /// The bytes as they lie there, for those that may have come with more or less around them than the
    /// secret has. Empty where a pipe was read already.
    pub(crate) fn raw(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let named =
            self.secret_env.iter().filter_map(std::env::var_os).map(OsString::into_encoded_bytes);
        // A pipe would be waited for, for ever.
        let files = self.secret_file.iter().filter(|path| path.is_file());
        let filed = files.filter_map(|path| std::fs::read(path).ok());
        named.chain(filed).map(Zeroizing::new).collect()
    }
}
