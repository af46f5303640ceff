//! The shared secret of a webhook: where it comes from, and that it never shows.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config_error::ConfigError;

/// Fewer bytes than this can be guessed: an error. Scrapest allows no fewer either.
const SHORTEST: usize = 8;
/// More bytes than this in a file are not a secret, but a mistake.
const LONGEST_FILE: usize = 4_096;
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
pub struct Secret(pub(crate) Zeroizing<Vec<u8>>);

impl Secret {
    /// The value of the environment variable `name`, its bytes as they are.
    ///
    /// # Errors
    ///
    /// When it is not set or not Unicode. That it is long enough is checked when a layer takes it.
    pub fn from_env(name: impl AsRef<OsStr>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        match std::env::var(name) {
            Ok(value) => Ok(value.into()),
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

    /// The content of the file at `path`, less exactly one final newline (`\n` or `\r\n`), which
    /// editors and `echo` add.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is longer than 4,096 bytes. That the secret is long enough is checked when a layer takes it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        // Of its final size at once: what is moved leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
        let read = File::open(path)
            .and_then(|file| file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return Err(ConfigError::new(
                "secret",
                format!("file {path:?} cannot be read: {error}"),
            ));
        }
        if bytes.len() > LONGEST_FILE {
            let what =
                format!("file {path:?} is of more than {LONGEST_FILE} bytes, expected a secret");
            return Err(ConfigError::new("secret", what));
        }
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        Ok(Self(bytes))
    }

    /// The key state, computed once: two of the hash's blocks that no request has to pay for.
    pub(crate) fn key_state(&self) -> Result<Hmac<Sha256>, ConfigError> {
        // HMAC fills a short key up with zero bytes: those at its end protect nothing.
        let length = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if is_blank(&self.0[..length]) {
            let what = if self.0.is_empty() { "empty" } else { "blank" };
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
        Hmac::new_from_slice(&self.0).map_err(|error| ConfigError::new("secret", error.to_string()))
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
        Self(Zeroizing::new(bytes))
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
