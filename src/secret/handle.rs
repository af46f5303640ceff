//! Secrets that can be replaced while the receiver runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Secret, SecretSet};
use crate::config_error::ConfigError;

/// The one to four active secrets of a layer or of one [`Webhook`](crate::Webhook), which can be replaced at run
/// time. Clones share the secrets, and so do all layers that were built [from
/// them](crate::WebhookLayer::from_secrets).
///
/// A replacement is one atomic step, without a restart or a pause: a request is checked with either the old set or
/// the new set, and keeps it until it is settled. **Keep the old secret beside the new one** until the sender has
/// switched and its last retry is over: a request signed with a removed secret gets 401. The span and a metric show
/// the secret of a request by its [label](Secret::with_label).
///
/// ```
/// use scrapest_webhook::{ScrapestWebhookLayer, Secret, Secrets};
///
/// # fn main() -> Result<(), scrapest_webhook::ConfigError> {
/// let old = || Secret::from("whsec_old_2fc11f0be4c24b6a").with_label("2026-05");
/// let secrets = Secrets::new([old()])?;
/// let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
///
/// // Later, while it runs:
/// let new = Secret::from("whsec_3fb1c8a0d94e4a7fb2c6").with_label("2026-11");
/// secrets.replace([new, old()])?;
/// assert!(secrets.replace([""]).is_err(), "and the two from before stay");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Secrets(pub(super) Arc<Inner>);

/// The lock is held only to read or replace the set, never during a computation.
pub(super) type Inner = RwLock<Arc<SecretSet>>;

impl Secrets {
    /// Makes a set of one to four secrets, which are all valid, in any order.
    ///
    /// # Errors
    ///
    /// If a secret is empty, blank, or shorter than 8 bytes, if there are none or more than four, or if two have the
    /// same label.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        Ok(Self::of(SecretSet::new(secrets)?))
    }

    /// Replaces all secrets with these. The same rules as for [`new`](Self::new) apply.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new). The previous secrets then stay in use.
    pub fn replace<S: Into<Secret>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), ConfigError> {
        put(&self.0, SecretSet::new(secrets)?);
        Ok(())
    }

    pub(super) fn of(set: SecretSet) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(set))))
    }

    pub(super) fn current(&self) -> Arc<SecretSet> {
        // No code panics while it holds the lock.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn put(shared: &Inner, set: SecretSet) {
    let mut place = shared.write().unwrap_or_else(PoisonError::into_inner);
    let old = std::mem::replace(&mut *place, Arc::new(set));
    drop(place);
    // Zeroized here, or by the last request that still uses it.
    drop(old);
}

/// Shows only the labels.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({:?})", self.current())
    }
}
