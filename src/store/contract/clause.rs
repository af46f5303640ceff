//! Helpers for the clauses.

use std::time::{Duration, Instant};

use rand::random;
use tokio::time::sleep;

use crate::store::{Claim, DeliveryStore, Fence, Key, Owner, Settled};

/// A lease or a retention that must not end: longer than any clause runs.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A lease or a retention whose end a clause waits for.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// Longer than [`SHORT`] by the clock of any store.
pub(super) const AFTER_SHORT: Duration = Duration::from_millis(400);

/// The longest wait for something that ends after [`SHORT`], on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How much earlier than by our clock something may end by the store's clock, which may count in whole
/// milliseconds.
pub(super) const CLOCK_SLACK: Duration = Duration::from_millis(20);

/// An attempt that holds, or held, a key.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) owner: Owner,
    pub(super) fence: Fence,
    pub(super) number: u32,
}

/// A store and a key that was never used before.
pub(super) struct Clause<S> {
    pub(super) store: S,
    pub(super) key: Key,
}

impl<S: DeliveryStore> Clause<S> {
    pub(super) fn new(store: S) -> Self {
        let key = fresh_key();
        Self { store, key }
    }

    pub(super) async fn claim(&self, owner: Owner, lease: Duration, keep: Duration) -> Claim {
        let claim = self.store.claim(&self.key, owner, lease, keep).await;
        claim.unwrap_or_else(|error| panic!("a claim was not answered: {error}"))
    }

    /// The result of a claim by a new owner.
    pub(super) async fn stranger_finds(&self) -> Claim {
        self.claim(Owner::random(), LONG, LONG).await
    }

    pub(super) async fn acquire_as(
        &self,
        owner: Owner,
        lease: Duration,
        sentence: &str,
    ) -> Attempt {
        match self.claim(owner, lease, LONG).await {
            Claim::Acquired { fence, attempt } => Attempt { owner, fence, number: attempt },
            other => panic!("{sentence}, but a claim found {other:?}"),
        }
    }

    pub(super) async fn acquire(&self, lease: Duration, sentence: &str) -> Attempt {
        self.acquire_as(Owner::random(), lease, sentence).await
    }

    /// Starts the first attempt at the key.
    pub(super) async fn begin(&self, lease: Duration) -> Attempt {
        self.acquire(lease, "a fresh key is acquired").await
    }

    /// Starts the next attempt, once a lease or a retention of [`SHORT`] that began after `since` has ended.
    pub(super) async fn acquire_after_short(&self, since: Instant, sentence: &str) -> Attempt {
        let owner = Owner::random();
        loop {
            if let Claim::Acquired { fence, attempt } = self.claim(owner, LONG, LONG).await {
                let waited = since.elapsed();
                assert!(
                    waited + CLOCK_SLACK >= SHORT,
                    "{sentence}, but not after {waited:?} of {SHORT:?}"
                );
                return Attempt { owner, fence, number: attempt };
            }
            assert!(since.elapsed() < PATIENCE, "{sentence}, but it has not within {PATIENCE:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns an attempt whose lease ended, and the attempt that took over from it.
    pub(super) async fn zombie_and_successor(&self) -> (Attempt, Attempt) {
        let began = Instant::now();
        let zombie = self.begin(SHORT).await;
        let successor = self.acquire_after_short(began, "a lease ends in the store's time").await;
        (zombie, successor)
    }

    pub(super) async fn renew(&self, owner: Owner, lease: Duration) -> Settled {
        let settled = self.store.renew(&self.key, owner, lease).await;
        settled.unwrap_or_else(|error| panic!("a renewal was not answered: {error}"))
    }

    pub(super) async fn complete(&self, attempt: Attempt, keep: Duration) -> Settled {
        let Attempt { owner, fence, .. } = attempt;
        let settled = self.store.complete(&self.key, owner, fence, keep).await;
        settled.unwrap_or_else(|error| panic!("a completion was not answered: {error}"))
    }

    pub(super) async fn release(&self, owner: Owner) -> Settled {
        let settled = self.store.release(&self.key, owner).await;
        settled.unwrap_or_else(|error| panic!("a release was not answered: {error}"))
    }

    pub(super) async fn assert_in_progress(&self, sentence: &str) {
        let found = self.stranger_finds().await;
        assert!(
            matches!(found, Claim::InProgress { .. }),
            "{sentence}, but a claim found {found:?}"
        );
    }

    pub(super) async fn assert_completed(&self, sentence: &str) {
        let found = self.stranger_finds().await;
        assert_eq!(found, Claim::Completed, "{sentence}");
    }
}

impl Attempt {
    /// Fails unless this is the attempt that directly follows `earlier`.
    pub(super) fn assert_follows(self, earlier: Attempt) {
        assert_eq!(
            self.number,
            earlier.number + 1,
            "each acquisition of a key counts as one more attempt"
        );
        self.assert_fenced_from(earlier);
    }

    pub(super) fn assert_fenced_from(self, earlier: Attempt) {
        assert!(
            self.fence > earlier.fence,
            "the fence grows with every acquisition, but {} came after {}",
            self.fence,
            earlier.fence
        );
    }
}

pub(super) fn fresh_key() -> Key {
    Key::from_bytes(random())
}
