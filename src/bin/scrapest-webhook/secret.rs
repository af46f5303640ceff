//! Where the secrets come from: never from the command line, where `ps` would show them.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use scrapest_webhook::{ConfigError, ScrapestWebhookLayer, Secret};
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
    /// All of them, at least one, and each such that a receiver would take it.
    pub(crate) fn read(&self) -> Result<Vec<Secret>> {
        let named = self.secret_env.iter().map(|name| {
            let flag = flag::of_variable("--secret-env", name)?;
            usable(&flag, Secret::from_env(name))
        });
        let filed = self.secret_file.iter().map(|path| {
            let flag = format!("--secret-file {}", path.display());
            usable(&flag, Secret::from_file(path))
        });
        named.chain(filed).collect()
    }

    /// The one to sign with; a sender has no second.
    pub(crate) fn read_one(&self) -> Result<Secret> {
        let mut secrets = self.read()?;
        let count = secrets.len();
        match secrets.pop() {
            Some(secret) if count == 1 => Ok(secret),
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

fn usable(flag: &str, secret: Result<Secret, ConfigError>) -> Result<Secret> {
    let checked = secret.and_then(|secret| {
        ScrapestWebhookLayer::try_new(secret.clone())?;
        Ok(secret)
    });
    checked.map_err(|error| flag::of(flag, &error))
}
