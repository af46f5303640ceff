//! The API key of an account at the sender.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use reqwest::header::HeaderValue;

use crate::config_error::ConfigError;
use crate::secret::Secret;

/// The API key of an account, which is sent in a header. It has no `Display`, and its `Debug` is redacted.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// Creates an API key.
    ///
    /// # Errors
    ///
    /// If the key is empty, or has a character other than visible ASCII.
    pub fn new(key: impl Into<Secret>) -> Result<Self, ConfigError> {
        Self::checked(&key.into(), "is")
    }

    /// Reads the key from the environment variable `name`.
    ///
    /// # Errors
    ///
    /// If the variable is not set, or its value is not a valid key.
    pub fn from_env(name: impl AsRef<OsStr>) -> Result<Self, ConfigError> {
        let name = name.as_ref();
        let Some(value) = std::env::var_os(name) else {
            let what = format!("environment variable {name:?} is not set, expected the API key");
            return Err(ConfigError::new("api_key", what));
        };
        let value = value.into_encoded_bytes();
        let value = value.strip_suffix(b"\n").unwrap_or(&value);
        Self::checked(&value.into(), &format!("in environment variable {name:?} is"))
    }

    /// Reads the key from the file at `path`, without one final newline.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or its content is not a valid key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let key = Secret::from_file(path).map_err(|error| {
            ConfigError::new("api_key", error.to_string().trim_start_matches("secret: ").to_owned())
        })?;
        Self::checked(&key, &format!("in file {path:?} is"))
    }

    fn checked(key: &Secret, subject: &str) -> Result<Self, ConfigError> {
        if key.bytes.is_empty() {
            return Err(ConfigError::new(
                "api_key",
                format!("{subject} empty, expected the API key"),
            ));
        }
        if !key.bytes.iter().all(u8::is_ascii_graphic) {
            let what =
                format!("{subject} not a key, expected visible ASCII characters without spaces");
            return Err(ConfigError::new("api_key", what));
        }
        // Graphic ASCII is always a valid header value.
        let mut value = HeaderValue::from_bytes(&key.bytes)
            .map_err(|_| ConfigError::new("api_key", format!("{subject} not a header value")))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(<redacted>)")
    }
}
