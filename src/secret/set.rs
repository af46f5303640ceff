//! The secrets that are valid at a time: each with its key state and its label.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroizing, zeroize_stack};

use super::Secret;
use crate::config_error::ConfigError;

/// A rotation needs no more secrets than this at a time. Each costs one HMAC and one record per delivery.
pub(crate) const MOST_SECRETS: usize = 4;

/// More than the computation of a key state uses, also in a debug build.
const STACK: usize = 16 * 1_024;

/// A set of one to [`MOST_SECRETS`] secrets, which never change: a rotation replaces the whole set.
pub(crate) struct SecretSet {
    active: Vec<Active>,
    /// Whether a request has matched one of them.
    has_fitted: AtomicBool,
}

pub(crate) type Fingerprint = [u8; 32];

struct Active {
    key: Hmac<Sha256>,
    label: Arc<str>,
}

impl SecretSet {
    pub(crate) fn new<S: Into<Secret>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        // Allocated with its final size, because a reallocation would leave a copy behind.
        let mut set = Self::of(Vec::with_capacity(MOST_SECRETS));
        for secret in secrets {
            set.add(&secret.into())?;
        }
        match set.active.is_empty() {
            true => Err(ConfigError::new("secret", "is missing, expected at least one")),
            false => Ok(set),
        }
    }

    fn of(active: Vec<Active>) -> Self {
        Self { active, has_fitted: AtomicBool::new(false) }
    }

    pub(super) fn fits(&self) {
        // Read first, so that the cache line stays shared between cores.
        if !self.has_fitted() {
            self.has_fitted.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn has_fitted(&self) -> bool {
        self.has_fitted.load(Ordering::Relaxed)
    }

    /// Makes a set of one random key that nobody knows.
    pub(super) fn decoy() -> Self {
        let bytes = Zeroizing::new(rand::random::<[u8; 64]>());
        // Laid out in memory like any other set, down to its alignment to cache lines, so that the timing is the
        // same.
        let mut set = Vec::with_capacity(MOST_SECRETS);
        set.push(Active { key: Hmac::new((&*bytes).into()), label: "0".into() });
        Self::of(set)
    }

    fn add(&mut self, secret: &Secret) -> Result<(), ConfigError> {
        let added = self.push(secret);
        // HMAC leaves the key on the stack. A later move of a value that is partly uninitialized, such as a future,
        // could copy it from there to the heap.
        zeroize_stack::<STACK>();
        added
    }

    #[inline(never)]
    fn push(&mut self, secret: &Secret) -> Result<(), ConfigError> {
        if self.active.len() >= MOST_SECRETS {
            let what = format!(
                "is one of more than {MOST_SECRETS}, expected at most {MOST_SECRETS} at one time"
            );
            return Err(ConfigError::new("secret", what));
        }
        let label = secret.label.clone();
        let label = label.unwrap_or_else(|| (self.active.len() + 1).to_string().into());
        if self.labels().any(|other| *other == label) {
            let what =
                format!("label {label:?} is used twice, expected a different one for each secret");
            return Err(ConfigError::new("secret", what));
        }
        self.active.push(Active { key: secret.key_state()?, label });
        Ok(())
    }

    /// Returns fingerprints that reveal, only within this process, whether two layers have a secret in common.
    pub(super) fn fingerprints(&self) -> Vec<Fingerprint> {
        static NONCE: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
        let of_key = |key: &Hmac<Sha256>| key.clone().chain_update(*NONCE).finalize().into_bytes();
        self.keys().map(|key| of_key(key).into()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.active.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        self.active.iter().map(|active| &active.key)
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &Arc<str>> {
        self.active.iter().map(|active| &active.label)
    }
}

/// Shows only the labels.
impl fmt::Debug for SecretSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} <redacted>", self.labels().collect::<Vec<_>>())
    }
}
