//! Opens the store that a URL in the configuration names.

use super::{AnyStore, MemoryStore};
use crate::config_error::ConfigError;

/// Opens the store that a URL names, so that it can be chosen in the configuration:
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`] of the default capacity | |
/// | `memory:` | [`MemoryStore`] with the default capacity | |
/// | `postgres://user:password@host/database` | `PostgresStore::new` | `postgres` |
/// | `redis://…`, `rediss://…`, `redis+unix://…`, and the same with `valkey` | `RedisStore::new` | `redis` |
///
/// Sentinel and Cluster need several URLs and are not available here: see `RedisStore::sentinel` and
/// `RedisStore::cluster`.
///
/// # Errors
///
/// If the URL is invalid, or names a store that this build does not have. The text lists the stores of this build,
/// and the feature that enables the requested one. Nothing is connected.
///
/// ```
/// use scrapest_webhook::store::store_from_url;
///
/// let store = store_from_url("memory:")?;
/// assert!(store_from_url("mysql://localhost").is_err());
/// # Ok::<(), scrapest_webhook::ConfigError>(())
/// ```
///
/// A bare URL is not a store. The compiler error names this function:
///
/// ```compile_fail,E0277
/// # let layer = scrapest_webhook::ScrapestWebhookLayer::new("a-secret-of-some-24-bytes");
/// let layer = layer.with_store("memory:".to_owned());
/// ```
pub fn store_from_url(url: &str) -> Result<AnyStore, ConfigError> {
    // A URL may contain a password, and a text without a scheme may be a password, so only known schemes are
    // repeated.
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let Some(&(scheme, feature, open)) = STORES.iter().find(|(known, ..)| *known == scheme) else {
        let what = format!("has a URL of an unknown scheme, expected one of: {}", had());
        return Err(ConfigError::new("store", what));
    };
    let Some(open) = open else {
        let what = format!(
            "has a URL of the scheme {scheme:?}, which needs the feature {feature:?}; \
             this build has: {}",
            had()
        );
        return Err(ConfigError::new("store", what));
    };
    open(url)
}

type Open = fn(&str) -> Result<AnyStore, ConfigError>;

/// Every scheme with the feature that it needs, and the function that opens it if this build has that feature.
const STORES: &[(&str, &str, Option<Open>)] = &[
    ("memory", "", Some(|_| Ok(AnyStore::new(MemoryStore::new())))),
    ("sqlite", "sqlite", SQLITE),
    ("postgres", "postgres", POSTGRES),
    ("postgresql", "postgres", POSTGRES),
    ("redis", "redis", REDIS),
    ("rediss", "redis", REDIS),
    ("redis+unix", "redis", REDIS),
    ("valkey", "redis", REDIS),
    ("valkeys", "redis", REDIS),
    ("valkey+unix", "redis", REDIS),
];

#[cfg(feature = "sqlite")]
const SQLITE: Option<Open> = Some(|url| super::SqliteStore::new(url).map(AnyStore::new));
#[cfg(not(feature = "sqlite"))]
const SQLITE: Option<Open> = None;

#[cfg(feature = "postgres")]
const POSTGRES: Option<Open> = Some(|url| super::PostgresStore::new(url).map(AnyStore::new));
#[cfg(not(feature = "postgres"))]
const POSTGRES: Option<Open> = None;

#[cfg(feature = "redis")]
const REDIS: Option<Open> = Some(|url| super::RedisStore::new(url).map(AnyStore::new));
#[cfg(not(feature = "redis"))]
const REDIS: Option<Open> = None;

/// The schemes that this build supports.
fn had() -> String {
    let had: Vec<_> =
        STORES.iter().filter(|(.., open)| open.is_some()).map(|(scheme, ..)| *scheme).collect();
    had.join(", ")
}

#[cfg(test)]
mod tests {
    use super::store_from_url;

    #[test]
    fn the_error_for_an_unknown_scheme_lists_the_known_ones_only() {
        for url in ["hunter2", "hunter2:", "hunter2://user:hunter2@localhost", ""] {
            let error = store_from_url(url).unwrap_err().to_string();
            assert!(error.contains("memory"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "redis"))]
    fn a_known_scheme_whose_feature_is_off_names_the_feature() {
        let error = store_from_url("rediss://:hunter2@localhost").unwrap_err().to_string();
        assert!(error.contains("needs the feature \"redis\""), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    #[cfg(feature = "redis")]
    fn a_redis_url_is_a_redis_store() {
        let store = store_from_url("redis://:hunter2@localhost:7000/3").unwrap();
        let shown = format!("{store:?}");
        assert!(shown.contains("RedisStore") && shown.contains("localhost:7000"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");

        for wrong in ["redis://:hunter2@localhost/hunter2", "redis:", "redis://:hunter2@h:99999"] {
            let error = store_from_url(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
