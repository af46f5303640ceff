//! The store that a configuration names.

use super::{AnyStore, MemoryStore};
use crate::config_error::ConfigError;

/// The store of a URL, so that configuration can choose: `memory:` for a [`MemoryStore`] of the default
/// capacity.
///
/// # Errors
///
/// If the URL is of no store that this build has; the text names those it has. Nothing is connected.
///
/// ```
/// use scrapest_webhook::store::store_from_url;
///
/// let store = store_from_url("memory:")?;
/// assert!(store_from_url("mysql://localhost").is_err());
/// # Ok::<(), scrapest_webhook::ConfigError>(())
/// ```
pub fn store_from_url(url: &str) -> Result<AnyStore, ConfigError> {
    // A URL may have a password in it: no more than its scheme is ever said.
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" => Ok(AnyStore::new(MemoryStore::new())),
        _ => Err(ConfigError::new(
            "store",
            format!("no store for the scheme {scheme:?}, expected one of: memory"),
        )),
    }
}
