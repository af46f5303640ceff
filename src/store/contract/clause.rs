//! What the clauses are written with.

use std::time::{Duration, Instant};

use rand::random;
use tokio::time::sleep;

use crate::store::{Claim, DeliveryStore, Fence, Key, Owner, Settled};

/// Longer than any clause runs: a lease or a retention that must not end.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// A lease or a retention that a clause waits for the end of.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// Surely longer than [`SHORT`] by any store's clock.
pub(super) const AFTER_SHORT: Duration = Duration::from_millis(400);

/// How long something that ends after [`SHORT`] may take to end, on a machine with much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How much earlier than by our clock something may end by the store's, which may count in full
/// milliseconds.
pub(super) const CLOCK_SLACK: Duration = Duration::from_millis(20);

/// One attempt that holds, or held, a key.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub(super) owner: Owner,
    pub(super) fence: Fence,
    pub(super) number: u32,
}

/// A store and a key that nobody used before.
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

    /// What somebody who never asked before is told.
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

    /// The first attempt at the key.
    pub(super) async fn begin(&self, lease: Duration) -> Attempt {
        self.acquire(lease, "a fresh key is acquired").await
    }

    /// The attempt that follows once a lease or a retention of [`SHORT`] has ended, which began after
    /// `since`.
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

    /// An attempt whose lease ended, and the one that took over from it.
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
    /// Fails unless this is the next attempt at the key that `earlier` was an attempt at.
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
