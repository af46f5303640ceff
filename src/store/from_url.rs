//! The store that a configuration names.

use super::{AnyStore, MemoryStore};
use crate::config::ConfigError;

/// The schemes that have a store, the feature that each needs, and whether this build has it.
const SCHEMES: &[(&str, &str, bool)] = &[
    ("memory", "", true),
    ("sqlite", "sqlite", cfg!(feature = "sqlite")),
    ("postgres", "postgres", cfg!(feature = "postgres")),
    ("postgresql", "postgres", cfg!(feature = "postgres")),
];

/// The store of a URL, so that configuration can choose:
///
/// * `memory:` for a [`MemoryStore`] of the default capacity;
/// * `sqlite:deliveries.db` for a file (feature `sqlite`);
/// * `postgres://user:password@host/database` for PostgreSQL (feature `postgres`).
///
/// # Errors
///
/// If the URL is of no store that this build has; the text names those it has, or the feature to enable. If
/// the store cannot make sense of the URL. Nothing is connected.
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
        #[cfg(feature = "sqlite")]
        "sqlite" => super::SqliteStore::new(url).map(AnyStore::new),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => super::PostgresStore::new(url).map(AnyStore::new),
        _ => Err(ConfigError::new("store", absent(scheme))),
    }
}

fn absent(scheme: &str) -> String {
    if let Some((_, feature, _)) = SCHEMES.iter().find(|(known, ..)| *known == scheme) {
        return format!("the scheme {scheme:?} needs the feature {feature:?} of scrapest-webhook");
    }
    let had: Vec<_> = SCHEMES.iter().filter(|(.., had)| *had).map(|(scheme, ..)| *scheme).collect();
    format!("no store for the scheme {scheme:?}, expected one of: {}", had.join(", "))
}
