//! The API client: its settings, and the state that all its calls share.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use time::OffsetDateTime;

use super::{ApiError, ApiErrorKind, ApiKey};
use crate::config_error::ConfigError;

/// A sender with an API: its URL, and how the key is sent.
pub trait Api: private::Sealed {
    /// The URL that the sender has published.
    const URL: &'static str;
    /// The name of the header that carries the key.
    const KEY_HEADER: &'static str;
}

pub(crate) mod private {
    /// Sealed: only the APIs of this crate implement it.
    pub trait Sealed {}
}

/// A client for a sender's API: [`scrapebadger::api::Client`](crate::scrapebadger::api::Client) or
/// [`scrapest::api::Client`](crate::scrapest::api::Client). Clones share the connections and the budget.
pub struct Client<S> {
    pub(super) http: reqwest::Client,
    pub(crate) url: Url,
    pub(super) key: ApiKey,
    pub(super) timeout: Duration,
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
    budget: Arc<Budget>,
    sender: PhantomData<fn() -> S>,
    /// How far the sender's clock is ahead of ours, in seconds. [`UNKNOWN`] before the first answer.
    ahead: Arc<AtomicI64>,
}

const UNKNOWN: i64 = i64::MIN;

#[derive(Debug)]
struct Budget {
    most: u64,
    spent: AtomicU64,
}

impl<S: Api> Client<S> {
    /// Creates a client for the published API, with this key.
    ///
    /// # Errors
    ///
    /// If the machine has no root certificates, which https needs.
    pub fn new(key: ApiKey) -> Result<Self, ConfigError> {
        Self::at(S::URL, key)
    }

    /// Creates a client for the API at another URL, for example a proxy or a test server. The paths of the API are
    /// appended to it.
    ///
    /// # Errors
    ///
    /// If `url` is not an http or https URL, if it contains a password, a query or a fragment, or if it is an
    /// https URL and the machine has no root certificates.
    ///
    /// ```
    /// use scrapest_webhook::scrapebadger::api::{ApiKey, Client};
    ///
    /// let client = Client::at("http://127.0.0.1:8080", ApiKey::new("key")?)?;
    /// assert!(Client::at("ftp://127.0.0.1", ApiKey::new("key")?).is_err());
    /// # Ok::<(), scrapest_webhook::ConfigError>(())
    /// ```
    pub fn at(url: &str, key: ApiKey) -> Result<Self, ConfigError> {
        let refused = |what: &str| ConfigError::new("api_url", what);
        // The given URL is never repeated, because it may contain a password.
        let url = Url::parse(url).map_err(|error| refused(&format!("is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(refused("expected a URL that begins with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("has a user name, expected an address only"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has a query or a fragment, expected an address only"));
        }
        let http = http(&url).map_err(|error| {
            let error = error.without_url();
            refused(&format!(
                "https needs trusted certificates, expected those of the system or a file in SSL_CERT_FILE: {error}"
            ))
        })?;
        Ok(Self {
            http,
            url,
            key,
            timeout: Duration::from_secs(10),
            attempts: 5,
            first_pause: Duration::from_millis(500),
            budget: Arc::new(Budget { most: 10_000, spent: AtomicU64::new(0) }),
            ahead: Arc::new(AtomicI64::new(UNKNOWN)),
            sender: PhantomData,
        })
    }

    /// Sets how long one request may take, including its answer. Default: 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets how often a request is sent at most before the call fails, and the pause after the first failure. Each
    /// further pause is twice as long, up to 30 s, unless the sender asks for another. Default: 5 attempts, 500
    /// ms.
    #[must_use]
    pub fn with_attempts(self, attempts: u32, first_pause: Duration) -> Self {
        Self { attempts: attempts.max(1), first_pause, ..self }
    }

    /// Sets how many requests this client and its clones may make, including repetitions. Default: 10,000.
    #[must_use]
    pub fn with_budget(self, calls: u64) -> Self {
        Self { budget: Arc::new(Budget { most: calls, spent: AtomicU64::new(0) }), ..self }
    }

    /// Returns the number of requests made so far, including repetitions.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.budget.spent.load(Ordering::Relaxed).min(self.budget.most)
    }

    /// Returns how far the sender's clock is ahead of ours, in seconds, by the `Date` of its last answer. Negative
    /// if ours is ahead; `None` before the first answer.
    #[must_use]
    pub fn clock_difference(&self) -> Option<i64> {
        Some(self.ahead.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN)
    }

    pub(super) fn saw_date(&self, at: OffsetDateTime) {
        let ahead = (at - OffsetDateTime::now_utc()).whole_seconds();
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Counts one request, if the budget allows it.
    pub(super) fn spend(&self, call: &'static str) -> Result<(), ApiError> {
        let Budget { most, spent } = &*self.budget;
        if spent.fetch_add(1, Ordering::Relaxed) < *most {
            return Ok(());
        }
        let what = format!("the budget of {most} calls is spent, expected a larger one");
        Err(ApiError::new(ApiErrorKind::Budget, call, what))
    }
}

fn http(url: &Url) -> reqwest::Result<reqwest::Client> {
    // reqwest needs a default provider. One that the application has installed is kept.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        _ = rustls::crypto::ring::default_provider().install_default();
    }
    let builder = reqwest::Client::builder()
        // A redirect would send the key to another server.
        .redirect(Policy::none())
        .user_agent(concat!("scrapest-webhook/", env!("CARGO_PKG_VERSION")));
    match url.scheme() {
        // Without TLS no certificates are needed, so a machine without root certificates can be used.
        "http" => builder.no_proxy().tls_certs_only([]).build(),
        _ => builder.build(),
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        let (budget, ahead) = (Arc::clone(&self.budget), Arc::clone(&self.ahead));
        Self {
            http: self.http.clone(),
            url: self.url.clone(),
            key: self.key.clone(),
            budget,
            ahead,
            ..*self
        }
    }
}

/// Omits the URL, which an operator may not want in a log, and the key.
impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
