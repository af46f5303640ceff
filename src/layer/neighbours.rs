//! Compares the layers of this process. Two combinations are probably mistakes that show in no answer: one webhook
//! with a memory store in each worker, and two webhooks whose ids collide in one store.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::WebhookLayer;
use crate::provider::Provider;
use crate::receiver::Namespace;
use crate::secret::Fingerprint;
use crate::store::StorePlace;

static LAYERS: Mutex<Vec<Neighbour>> = Mutex::new(Vec::new());

struct Neighbour {
    namespace: Namespace,
    /// Empty if the secrets are looked up for each request.
    secrets: Vec<Fingerprint>,
    store: StorePlace,
    layer: Weak<dyn Any + Send + Sync>,
}

impl Neighbour {
    fn is_for_the_same_webhook(&self, other: &Self) -> bool {
        match (&*self.secrets, &*other.secrets) {
            ([], []) => true,
            (secrets, others) => secrets.iter().any(|secret| others.contains(secret)),
        }
    }

    fn is_split_from(&self, other: &Self) -> bool {
        self.is_for_the_same_webhook(other)
            && matches!((&self.store, &other.store), (StorePlace::Memory(one), StorePlace::Memory(two)) if one != two)
    }

    fn may_be_confused_with(&self, other: &Self) -> bool {
        let both_known = !self.secrets.is_empty() && !other.secrets.is_empty();
        both_known && self.store == other.store && !self.is_for_the_same_webhook(other)
    }
}

impl<P: Provider> WebhookLayer<P> {
    pub(super) fn meet_neighbours(&self) {
        let receiver = &self.receiver;
        let new = Neighbour {
            namespace: receiver.namespace,
            secrets: receiver.secrets.fingerprints(),
            store: receiver.store.place(),
            layer: Arc::downgrade(receiver) as _,
        };
        let (split, confused) = new.join();
        let sender = receiver.provider.name();
        if split {
            tracing::warn!(
                sender,
                "one webhook has two memory stores in this process, so a duplicate that reaches the other store \
                 runs again: build the layer once, outside the closure given to `HttpServer::new`, and clone it"
            );
        }
        if confused {
            tracing::warn!(
                sender,
                "two layers with different secrets share a store and a namespace, so a delivery of one layer is \
                 taken for a duplicate if the other has handled the same id: give each layer its own namespace \
                 (`with_namespace`)"
            );
        }
    }
}

impl Neighbour {
    /// Adds this layer. Returns whether it is the second layer of a split webhook, and whether it is the second one
    /// that may be confused with another.
    fn join(self) -> (bool, bool) {
        let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
        layers.retain(|layer| layer.layer.strong_count() > 0);
        let same = |other: &&Self| other.namespace == self.namespace;
        let is_second = |matches: fn(&Self, &Self) -> bool| {
            layers.iter().filter(same).filter(|other| matches(&self, other)).count() == 1
        };
        let found = (is_second(Self::is_split_from), is_second(Self::may_be_confused_with));
        let is_known = layers.iter().filter(same).any(|other| {
            other.secrets == self.secrets
                && other.store == self.store
                && other.layer.ptr_eq(&self.layer)
        });
        if is_known {
            return (false, false);
        }
        layers.push(self);
        found
    }
}
