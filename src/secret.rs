//! The shared secret of a webhook: its sources, its rotation, and its redaction.

mod file;
mod handle;
mod mistakes;
mod set;
mod source;
mod token;
mod webhook;

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use self::handle::Secrets;
pub(crate) use self::set::{Fingerprint, MOST_SECRETS, SecretSet};
pub(crate) use self::source::{Candidates, Source};
pub(crate) use self::token::Token;
pub use self::token::TokenIn;
pub use self::webhook::{Webhook, WebhookRef};
use crate::config_error::ConfigError;

/// A secret with fewer bytes than this can be guessed and is an error. Scrapest has the same minimum.
const SHORTEST: usize = 8;
/// A secret with fewer bytes than this causes a warning: 24 random characters are about 128 bits.
const ADVISED: usize = 24;

/// A webhook's secret. Its `Debug` is redacted, its memory is zeroized on drop, and no method returns it.
///
/// Made from the bytes of a `&str`, `String`, `&[u8]` or `Vec<u8>`, or read from the [environment](Self::from_env) or
/// a [file](Self::from_file).
///
/// ```
/// use scrapest_webhook::{ScrapestWebhookLayer, Secret};
///
/// let layer = ScrapestWebhookLayer::new("whsec_3fb1c8a0d94e4a7fb2c6");
/// assert!(Secret::from_env("NOT_SET_ANYWHERE").is_err());
/// ```
#[derive(Clone)]
pub struct Secret {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    label: Option<Arc<str>>,
}

impl Secret {
    /// Reads the environment variable `name`, without exactly one final line feed (`\n` or `\r\n`): a secret that was
    /// copied from a file into the environment often has one.
    ///
    /// # Errors
    ///
    /// If the variable is not set or not Unicode. The secret's length is checked when a layer takes it.
    pub fn from_env(name: impl AsRef<OsStr>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        match std::env::var(name) {
            Ok(value) => {
                let mut bytes = Zeroizing::new(value.into_bytes());
                drop_line_feed(&mut bytes);
                Ok(Self::of(bytes))
            }
            Err(std::env::VarError::NotPresent) => Err(ConfigError::new(
                "secret",
                format!("environment variable {name:?} is not set, expected the webhook's secret"),
            )),
            Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::new(
                "secret",
                format!("environment variable {name:?} is not Unicode, expected text"),
            )),
        }
    }

    /// Reads the file at `path`, without exactly one final line feed (`\n` or `\r\n`), which editors and `echo` add.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is longer than 4,096 bytes, or clearly does not contain a secret: if it has a
    /// comment line (`#`) or a byte order mark, is UTF-16, or has the form `NAME=value`. The secret's length is
    /// checked when a layer takes it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        file::secret(path.as_ref()).map(Self::of)
    }

    /// Sets the label of this secret in spans and metrics, which show the secret that a request was signed with, and
    /// so when an old one can be removed. The label is visible: use no part of the secret, but for example its month.
    /// Default, also for an empty label: its position among the active secrets, from `1`.
    ///
    /// ```
    /// let secret = scrapest_webhook::Secret::from("whsec_3fb1c8a0d94e4a7fb2c6");
    /// let secret = secret.with_label("2026-11");
    /// ```
    #[must_use]
    pub fn with_label(self, label: impl Into<String>) -> Self {
        let label = Some(label.into()).filter(|label| !label.is_empty());
        Self { label: label.map(Arc::from), ..self }
    }

    fn of(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { bytes, label: None }
    }

    /// Computes the key state once, which saves two hash blocks per request.
    pub(crate) fn key_state(&self) -> Result<Hmac<Sha256>, ConfigError> {
        // HMAC pads a short key with zero bytes, so zero bytes at its end add no protection.
        let length = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if is_blank(&self.bytes[..length]) {
            let what = if self.bytes.is_empty() { "empty" } else { "blank" };
            return Err(ConfigError::new(
                "secret",
                format!("secret is {what}, expected the one the webhook was created with"),
            ));
        }
        if length < SHORTEST {
            return Err(ConfigError::new(
                "secret",
                format!("secret has {length} bytes, expected at least {SHORTEST}"),
            ));
        }
        if length < ADVISED {
            tracing::warn!(
                "the webhook's secret has fewer than {ADVISED} bytes: a longer random secret is harder to guess"
            );
        }
        if let Some(what) = mistakes::in_secret(&self.bytes) {
            tracing::warn!(
                "the webhook's secret {what}: if the sender's secret differs in this, no signature matches"
            );
        }
        Hmac::new_from_slice(&self.bytes)
            .map_err(|error| ConfigError::new("secret", error.to_string()))
    }
}

/// Drops exactly one `\n` or `\r\n` at the end.
fn drop_line_feed(bytes: &mut Vec<u8>) {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
}

/// Whether the secret has no visible character, in any script.
fn is_blank(secret: &[u8]) -> bool {
    let invisible = |char: char| char.is_whitespace() || char.is_control();
    std::str::from_utf8(secret).is_ok_and(|text| text.chars().all(invisible))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of(Zeroizing::new(bytes))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        text.as_bytes().into()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Secret {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}
