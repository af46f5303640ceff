//! Which secrets a request is held against.

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

/// Where a layer has its secrets from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Those that it was built with: no lock, and nothing to count.
    Fixed(Arc<SecretSet>),
    Changing(Secrets),
    PerWebhook(PerWebhook),
}

/// What is asked for a webhook's secrets.
pub(crate) type Resolve = dyn Fn(WebhookRef<'_>) -> Option<Webhook> + Send + Sync;

#[derive(Clone)]
pub(crate) struct PerWebhook {
    resolve: Arc<Resolve>,
    /// Takes the place of one that is unknown.
    decoy: Webhook,
    decoy_key: Arc<SecretSet>,
    /// As many secrets as a webhook has had so far; so many are tried for each, or the time would tell one
    /// that has two from one that is unknown.
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

    /// Of the secrets of this moment. None if each request has its own.
    pub(crate) fn fingerprints(&self) -> Vec<Fingerprint> {
        match self {
            Self::Fixed(set) => set.fingerprints(),
            Self::Changing(secrets) => secrets.current().fingerprints(),
            Self::PerWebhook(_) => Vec::new(),
        }
    }

    /// The secrets of this moment, for a request to keep until its end.
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
        // From here on it is the same work for both.
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

/// What a signature is held against.
pub(crate) struct Candidates<'a> {
    set: Cow<'a, Arc<SecretSet>>,
    /// A key that fits nothing, so many times.
    fill: Option<(&'a Hmac<Sha256>, usize)>,
    webhook: Option<Webhook>,
    known: bool,
}

impl Candidates<'_> {
    /// Each key, and whether it counts. They are at most [`MOST_SECRETS`](super::MOST_SECRETS).
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Hmac<Sha256>, bool)> {
        let fill = self.fill.into_iter().flat_map(|(key, count)| repeat_n((key, false), count));
        self.set.keys().map(|key| (key, self.known)).chain(fill)
    }

    /// How many of the keys count, the first ones, if they do.
    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    /// Of the one in this place of [`keys`](Self::keys).
    pub(crate) fn label(&self, place: u8) -> Option<&Arc<str>> {
        self.set.labels().nth(place.into())
    }

    /// One of them has fitted.
    pub(crate) fn fit(&self) {
        self.set.fits();
    }

    /// Whether one of them has ever fitted.
    pub(crate) fn have_fitted(&self) -> bool {
        self.set.has_fitted()
    }

    /// Whether there are any but decoys.
    pub(crate) fn are_known(&self) -> bool {
        self.known
    }

    /// Of the one whose they are, in a layer of several.
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
    fn a_known_webhook_and_an_unknown_one_are_tried_with_as_many_keys() {
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
