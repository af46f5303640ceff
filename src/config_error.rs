//! The error for a wrong setting.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// A setting that cannot work: its name, its value, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    message: String,
}

impl ConfigError {
    /// Makes an error for `setting`. The message follows the name of the setting: write it in lower case, without a
    /// full stop.
    pub fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self { setting, message: message.into() }
    }

    /// Adds that the setting comes from this file.
    pub(crate) fn of_file(self, path: &Path) -> Self {
        Self { message: format!("file {path:?}: {}", self.message), ..self }
    }

    /// The name of the setting.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.message)
    }
}

impl Error for ConfigError {}
