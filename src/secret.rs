//! The shared secret of a webhook: where it comes from, how it changes, and that it never shows.

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

/// Fewer bytes than this can be guessed: an error. Scrapest allows no fewer either.
const SHORTEST: usize = 8;
/// Fewer bytes than this deserve a warning: 24 random characters are about 128 bits.
const ADVISED: usize = 24;

/// A webhook's secret. Its `Debug` is redacted, its memory is zeroized when it is dropped, and it has no
/// way out again.
///
/// From a `&str`, `String`, `&[u8]` or `Vec<u8>`, the bytes as they are; or from the
/// [environment](Self::from_env) or a [file](Self::from_file).
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
    /// The value of the environment variable `name`, less exactly one final line feed (`\n` or `\r\n`), which a
    /// secret has that was read from a file on its way into the environment.
    ///
    /// # Errors
    ///
    /// When it is not set or not Unicode. That it is long enough is checked when a layer takes it.
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
                format!("environment variable {name:?} is not Unicode, expected a text"),
            )),
        }
    }

    /// The content of the file at `path`, less exactly one final line feed (`\n` or `\r\n`), which
    /// editors and `echo` add.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is longer than 4,096 bytes, or is clearly something else than a secret: if it has
    /// a comment line (`#`) or a byte order mark, is UTF-16, or says `NAME=value`. The secret's length is checked when a
    /// layer takes it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        file::secret(path.as_ref()).map(Self::of)
    }

    /// What the span and the metrics call the secret that a request was signed with, so that one knows
    /// when an old one can go. It is shown, so no part of the secret: the month that it is of, say. Default, and in
    /// place of an empty one: its place among the active secrets, from `1`.
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

    /// The key state, computed once: two of the hash's blocks that no request has to pay for.
    pub(crate) fn key_state(&self) -> Result<Hmac<Sha256>, ConfigError> {
        // HMAC fills a short key up with zero bytes: those at its end protect nothing.
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
                "the webhook's secret has fewer than {ADVISED} bytes; a longer random one is harder to guess"
            );
        }
        if let Some(what) = mistakes::in_secret(&self.bytes) {
            tracing::warn!(
                "the webhook's secret {what}: if the sender's secret does not, signatures never fit"
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

/// Nothing that anyone could see, in any script.
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
