//! The flags for secrets. A secret is never a flag's value itself, because `ps` would show it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use scrapest_webhook::{ConfigError, ScrapestWebhookLayer, Secret};
use zeroize::Zeroizing;

use crate::{flag, output};

/// The flags of every command that needs a secret.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SecretArgs {
    /// The environment variable that contains the secret; repeat it for the secrets of a rotation
    #[arg(long, value_name = "NAME")]
    secret_env: Vec<String>,

    /// A file that contains the secret; one line feed at its end is removed
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
}

impl SecretArgs {
    /// Reads all secrets: at least one, and each strong enough for a receiver.
    pub(crate) fn read(&self) -> Result<Vec<Secret>> {
        let named = self.secret_env.iter().map(|name| {
            let flag = flag::of_variable("--secret-env", name)?;
            usable(&flag, Secret::from_env(name))
        });
        let filed = self.secret_file.iter().map(|path| {
            let flag = format!("--secret-file {}", path.display());
            warn_if_open(&flag, path);
            usable(&flag, Secret::from_file(path))
        });
        named.chain(filed).collect()
    }

    /// Reads the secret to sign with; a sender has only one.
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

    /// The unchanged bytes, including any that were put around the secret by mistake. Without those of a pipe,
    /// which was already read.
    pub(crate) fn raw(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let named =
            self.secret_env.iter().filter_map(std::env::var_os).map(OsString::into_encoded_bytes);
        // Reading a pipe again would block forever.
        let files = self.secret_file.iter().filter(|path| path.is_file());
        let filed = files.filter_map(|path| std::fs::read(path).ok());
        named.chain(filed).map(Zeroizing::new).collect()
    }

    /// Whether all of them can be read again later.
    pub(crate) fn is_readable_again(&self) -> bool {
        self.secret_file.iter().all(|path| path.is_file())
    }

    /// Whether a secret is in a file, which may change.
    pub(crate) fn has_file(&self) -> bool {
        !self.secret_file.is_empty()
    }
}

/// Warns if every user of the machine can read the secret, and so sign as the sender.
#[cfg(unix)]
fn warn_if_open(flag: &str, path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    // Once per process, because the file is read repeatedly.
    static SAID: std::sync::Once = std::sync::Once::new();
    if metadata.is_file() && mode & 0o007 != 0 {
        SAID.call_once(|| {
            output::say(format_args!(
                "warning: {flag}: has mode {mode:03o}, so every user of this machine can use it, expected 600"
            ));
        });
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &str, _: &std::path::Path) {}

fn usable(flag: &str, secret: Result<Secret, ConfigError>) -> Result<Secret> {
    let checked = secret.and_then(|secret| {
        ScrapestWebhookLayer::try_new(secret.clone())?;
        Ok(secret)
    });
    checked.map_err(|error| flag::of(flag, &error))
}
