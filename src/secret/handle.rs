//! Secrets that are exchanged while the receiver runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Secret, SecretSet};
use crate::config_error::ConfigError;

/// The active secrets of a layer, or of one [`Webhook`](crate::Webhook), one to four, to be exchanged at
/// run time. Clones are one and the same; so are the layers that were built
/// [from it](crate::WebhookLayer::from_secrets).
///
/// An exchange is one atomic step, without a restart and without a pause: a request is held against the
/// set from before or the set from after it, whole, until it is settled. **Keep the old secret beside the
/// new one** until the sender has changed over and its last retry is over: what is signed with a
/// secret that is gone gets 401. Which one a request was signed with stands in the span and in a metric, by
/// its [label](Secret::with_label).
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

/// The lock is held to take the set or to put another there, never while anything is computed.
pub(super) type Inner = RwLock<Arc<SecretSet>>;

impl Secrets {
    /// One to four secrets, all valid, in any order.
    ///
    /// # Errors
    ///
    /// If one is empty, blank, or shorter than 8 bytes, if there is none or a fifth, or if two have one
    /// label.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        Ok(Self::of(SecretSet::new(secrets)?))
    }

    /// From now on these, all of them and no other; as for [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new). The secrets from before then stay as they were.
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
        // Nothing can panic while it is locked.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn put(shared: &Inner, set: SecretSet) {
    let mut place = shared.write().unwrap_or_else(PoisonError::into_inner);
    let old = std::mem::replace(&mut *place, Arc::new(set));
    drop(place);
    // Zeroized here, or by the last request that is held against it.
    drop(old);
}

/// The labels alone.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({:?})", self.current())
    }
}
