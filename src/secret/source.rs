//! Chooses the secrets that a request is checked with.

use std::borrow::Cow;
use std::fmt;
use std::iter::repeat_n;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hmac::Hmac;
use sha2::Sha256;

use super::set::Fingerprint;
use super::{Secret, SecretSet, Secrets, Webhook, WebhookRef};
use crate::config_error::ConfigError;

/// The source of a layer's secrets.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The secrets that the layer was built with. Needs no lock and no reference count.
    Fixed(Arc<SecretSet>),
    Changing(Secrets),
    PerWebhook(PerWebhook),
}

/// The function that finds the webhook of a request.
pub(crate) type Resolve = dyn Fn(WebhookRef<'_>) -> Option<Webhook> + Send + Sync;

#[derive(Clone)]
pub(crate) struct PerWebhook {
    resolve: Arc<Resolve>,
    /// Used in place of an unknown webhook.
    decoy: Webhook,
    decoy_key: Arc<SecretSet>,
    /// The largest number of secrets that any webhook has had so far. Every request is checked with so many keys:
    /// otherwise the time would distinguish a webhook with two secrets from an unknown one.
    most: Arc<AtomicUsize>,
}

impl Source {
    pub(crate) fn fixed(secret: Secret) -> Result<Self, ConfigError> {
        Ok(Self::Fixed(Arc::new(SecretSet::new([secret])?)))
    }

    pub(crate) fn per_webhook(resolve: Arc<Resolve>) -> Self {
        let decoy_key = Arc::new(SecretSet::decoy());
        let decoy = Webhook::new("", Secrets::of(SecretSet::decoy()));
        Self::PerWebhook(PerWebhook { resolve, decoy, decoy_key, most: Arc::default() })
    }

    /// Returns the fingerprints of the current secrets. Empty if each request has its own.
    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        match self {
            Self::Fixed(set) => set.fingerprints(),
            Self::Changing(secrets) => secrets.current().fingerprints(),
            Self::PerWebhook(_) => Vec::new(),
        }
    }

    /// Returns the current secrets, which the request keeps until its end.
    pub(crate) fn now<'a>(&'a self, asked: impl FnOnce() -> WebhookRef<'a>) -> Candidates<'a> {
        let all = |set| Candidates { set, fill: None, webhook: None, known: true };
        match self {
            Self::Fixed(set) => all(Cow::Borrowed(set)),
            Self::Changing(secrets) => all(Cow::Owned(secrets.current())),
            Self::PerWebhook(webhooks) => webhooks.now(asked()),
        }
    }
}

impl PerWebhook {
    fn now(&self, asked: WebhookRef<'_>) -> Candidates<'_> {
        let found = (self.resolve)(asked);
        let known = found.is_some();
        // From here on, known and unknown webhooks cause the same work.
        let webhook = found.unwrap_or_else(|| self.decoy.clone());
        let set = webhook.current();
        let mut most = self.most.load(Ordering::Relaxed);
        if most < set.len() {
            most = self.most.fetch_max(set.len(), Ordering::Relaxed).max(set.len());
        }
        let fill = self.decoy_key.keys().next().map(|key| (key, most - set.len()));
        Candidates { set: Cow::Owned(set), fill, webhook: Some(webhook), known }
    }
}

/// The keys that a signature is checked with.
pub(crate) struct Candidates<'a> {
    set: Cow<'a, Arc<SecretSet>>,
    /// A key that matches nothing, and how often it is tried.
    fill: Option<(&'a Hmac<Sha256>, usize)>,
    webhook: Option<Webhook>,
    known: bool,
}

impl Candidates<'_> {
    /// Returns each key, and whether a match with it counts. There are at most [`MOST_SECRETS`](super::MOST_SECRETS).
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Hmac<Sha256>, bool)> {
        let fill = self.fill.into_iter().flat_map(|(key, count)| repeat_n((key, false), count));
        self.set.keys().map(|key| (key, self.known)).chain(fill)
    }

    /// Returns the number of keys of the webhook, which come first in [`keys`](Self::keys).
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    /// Returns the label of the key at this position in [`keys`](Self::keys).
    pub(crate) fn label(&self, place: u8) -> Option<&Arc<str>> {
        self.set.labels().nth(place.into())
    }

    /// Records that one of the keys has matched.
    pub(crate) fn fit(&self) {
        self.set.fits();
    }

    /// Whether one of the keys has ever matched.
    pub(crate) fn have_fitted(&self) -> bool {
        self.set.has_fitted()
    }

    /// Whether the keys belong to a known webhook and are not decoys.
    pub(crate) fn are_known(&self) -> bool {
        self.known
    }

    /// Returns the id of the webhook that the keys belong to, in a layer with several webhooks.
    pub(crate) fn webhook_id(&self) -> Option<&str> {
        self.webhook.as_ref().map(Webhook::id)
    }

    pub(crate) fn into_webhook(self) -> Option<Webhook> {
        self.webhook
    }
}

impl fmt::Debug for PerWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<by webhook>")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Source;
    use crate::secret::{Secrets, Webhook, WebhookRef};

    #[test]
    fn known_and_unknown_webhooks_are_tried_with_the_same_number_of_keys() {
        let one = Webhook::new("one", Secrets::new(["a secret of one webhook"]).unwrap());
        let two =
            Webhook::new("two", Secrets::new(["a secret of another", "and a second"]).unwrap());
        let webhooks = [one.clone(), two];
        let source = Source::per_webhook(Arc::new(move |request: WebhookRef<'_>| {
            webhooks.iter().find(|webhook| Some(webhook.id()) == request.id()).cloned()
        }));
        let tried = |id: &str| {
            let candidates = source.now(|| WebhookRef::new(Some(id.as_bytes()), "/"));
            let counting = candidates.keys().filter(|(_, counts)| *counts).count();
            (candidates.keys().count(), counting, candidates.are_known())
        };
        assert_eq!([tried("one"), tried("none")], [(1, 1, true), (1, 0, false)]);
        assert_eq!(tried("two"), (2, 2, true));
        assert_eq!([tried("one"), tried("none")], [(2, 1, true), (2, 0, false)]);
        one.secrets().replace(["1 of four", "2 of four", "3 of four", "4 of four"]).unwrap();
        assert_eq!([tried("one"), tried("none")], [(4, 4, true), (4, 0, false)]);
        one.secrets().replace(["one of one"]).unwrap();
        assert_eq!([tried("one"), tried("two")], [(4, 1, true), (4, 2, true)]);
    }
}
