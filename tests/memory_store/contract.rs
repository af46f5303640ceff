//! The memory store keeps the contract of all stores. A store with a defect that others have shipped does not.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use scrapest_webhook::store::{
    Claim, Claims, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, Settlement, StoreError,
    contract,
};

mod kept {
    use super::MemoryStore;

    scrapest_webhook::store_contract_tests!(MemoryStore::new());
}

/// A store that has only the required verbs, as a user's own, behind the pointer that a layer keeps.
mod provided {
    use scrapest_webhook::store::AnyStore;
    use support::scripted::ScriptedStore;

    scrapest_webhook::store_contract_tests!(AnyStore::new(ScriptedStore::recording()));
}

const LONG: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    None,
    UnfencedRelease,
    CompleteOnlyForTheHolder,
    UnknownHolder,
    EndlessLease,
    ConstantFence,
    ConstantAttempt,
    CheckThenAct,
    RenewalOnPaper,
    RenewalByAnyone,
    LeaseWithinTheRetention,
    EndlessRetention,
    RetentionOfTheClaim,
    ReleaseUndoesCompletion,
    ClaimsHalf,
    KeepsWhatItTook,
    RenewsHalf,
    SettlesHalf,
    StopsAtTheFirstLost,
    ForgetsTheFences,
}

/// A sound store behind a defect.
#[derive(Debug)]
struct Defective {
    defect: Defect,
    inner: MemoryStore,
    seen: Mutex<HashMap<Key, Seen>>,
    deleted: Mutex<HashSet<Key>>,
}

/// What the defect needs to know of a key.
#[derive(Clone, Copy, Debug)]
struct Seen {
    holder: Owner,
    keep: Duration,
}

fn with(defect: Defect) -> Defective {
    Defective {
        defect,
        inner: MemoryStore::new(),
        seen: Mutex::default(),
        deleted: Mutex::default(),
    }
}

impl Defective {
    fn seen(&self, key: &Key) -> Option<Seen> {
        self.seen.lock().unwrap().get(key).copied()
    }

    fn holder(&self, key: &Key) -> Option<Owner> {
        self.seen(key).map(|seen| seen.holder)
    }
}

impl DeliveryStore for Defective {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        let held_by_caller = self.holder(key) == Some(owner);
        let lease = match self.defect {
            Defect::EndlessLease => LONG,
            Defect::LeaseWithinTheRetention => lease.min(keep),
            _ => lease,
        };
        if self.defect == Defect::CheckThenAct && self.seen(key).is_none() {
            // As long as a round trip: a claim that comes in between must find the door open.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (fence, seen) = (Fence::new(1), Seen { holder: owner, keep });
            self.seen.lock().unwrap().insert(*key, seen);
            self.inner.claim(key, owner, lease, keep).await?;
            return Ok(Claim::Acquired { fence, attempt: 1 });
        }
        if self.deleted.lock().unwrap().remove(key) {
            let fence = Fence::new(u64::MAX);
            return Ok(Claim::Acquired { fence, attempt: 1 });
        }
        let claim = self.inner.claim(key, owner, lease, keep).await?;
        let Claim::Acquired { fence, attempt } = claim else {
            return Ok(claim);
        };
        let seen = Seen { holder: owner, keep };
        self.seen.lock().unwrap().insert(*key, seen);
        Ok(match self.defect {
            Defect::UnknownHolder if held_by_caller => Claim::InProgress { retry_after: lease },
            Defect::ConstantFence => Claim::Acquired { fence: Fence::new(1), attempt },
            Defect::ConstantAttempt => Claim::Acquired { fence, attempt: 1 },
            _ => claim,
        })
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        let seen = self.seen(key);
        match (self.defect, seen) {
            (Defect::RenewalOnPaper, _) => Ok(Settled::Done),
            (Defect::RenewalByAnyone, Some(Seen { holder, .. })) => {
                self.inner.renew(key, holder, lease).await
            }
            (Defect::LeaseWithinTheRetention, Some(Seen { keep, .. })) => {
                self.inner.renew(key, owner, lease.min(keep)).await
            }
            _ => self.inner.renew(key, owner, lease).await,
        }
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        let keep = match (self.defect, self.seen(key)) {
            (Defect::CompleteOnlyForTheHolder, seen) => {
                if seen.is_none_or(|seen| seen.holder != owner) {
                    return Ok(Settled::Lost);
                }
                keep
            }
            (Defect::EndlessRetention, _) => LONG,
            (Defect::RetentionOfTheClaim, Some(seen)) => seen.keep,
            _ => keep,
        };
        self.inner.complete(key, owner, fence, keep).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        match (self.defect, self.holder(key)) {
            (Defect::UnfencedRelease, Some(holder)) => self.inner.release(key, holder).await,
            (Defect::ReleaseUndoesCompletion, Some(holder)) if holder == owner => {
                // Deletes the record, whatever it says.
                self.deleted.lock().unwrap().insert(*key);
                Ok(Settled::Done)
            }
            _ => self.inner.release(key, owner).await,
        }
    }

    async fn claim_all(
        &self,
        keys: &mut [(Key, Fence)],
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claims, StoreError> {
        let half = keys.len().div_ceil(2);
        match self.defect {
            Defect::ClaimsHalf => self.inner.claim_all(&mut keys[..half], owner, lease, keep).await,
            Defect::KeepsWhatItTook => {
                for (place, (key, of_key)) in keys.iter_mut().enumerate() {
                    match self.claim(key, owner, lease, keep).await? {
                        Claim::Acquired { fence, .. } => *of_key = fence,
                        Claim::InProgress { retry_after } => {
                            return Ok(Claims::InProgress { place, retry_after });
                        }
                        Claim::Completed => return Ok(Claims::Completed { place }),
                    }
                }
                Ok(Claims::Acquired { attempt: 1 })
            }
            Defect::ForgetsTheFences => {
                self.inner.claim_all(&mut keys.to_vec(), owner, lease, keep).await
            }
            _ => self.inner.claim_all(keys, owner, lease, keep).await,
        }
    }

    async fn renew_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        lease: Duration,
    ) -> Result<Settled, StoreError> {
        match self.defect {
            Defect::RenewsHalf => self.inner.renew_all(&keys[..1], owner, lease).await,
            Defect::StopsAtTheFirstLost => {
                for (key, _) in keys {
                    if self.renew(key, owner, lease).await? == Settled::Lost {
                        return Ok(Settled::Lost);
                    }
                }
                Ok(Settled::Done)
            }
            _ => self.inner.renew_all(keys, owner, lease).await,
        }
    }

    async fn settle_all(
        &self,
        keys: &[(Key, Fence)],
        owner: Owner,
        how: Settlement,
    ) -> Result<Settled, StoreError> {
        match self.defect {
            Defect::SettlesHalf => self.inner.settle_all(&keys[..1], owner, how).await,
            Defect::StopsAtTheFirstLost => {
                for (key, fence) in keys {
                    let settled = match how {
                        Settlement::Complete { keep } => {
                            self.complete(key, owner, *fence, keep).await?
                        }
                        Settlement::Release => self.release(key, owner).await?,
                    };
                    if settled == Settled::Lost {
                        return Ok(Settled::Lost);
                    }
                }
                Ok(Settled::Done)
            }
            _ => self.inner.settle_all(keys, owner, how).await,
        }
    }
}

/// Nothing is caught where nothing is wrong.
mod sound {
    use super::{Defect, with};

    scrapest_webhook::store_contract_tests!(with(Defect::None));
}

/// One test for each defect: every clause named must fail.
macro_rules! caught {
    ($($test:ident: $defect:ident by $($clause:ident),+;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $test() {
            $(
                let clause = tokio::spawn(contract::$clause(with(Defect::$defect)));
                let failed = clause.await.is_err_and(|error| error.is_panic());
                assert!(failed, "{} passed", stringify!($clause));
            )+
        }
    )+};
}

caught! {
    a_release_that_ignores_the_owner_is_caught: UnfencedRelease by
        a_release_by_a_stranger_is_lost,
        a_repeated_release_is_harmless,
        a_late_failure_does_not_hurt_the_successor;
    a_completion_for_the_holder_only_is_caught: CompleteOnlyForTheHolder by
        a_late_success_completes_the_key,
        a_success_for_an_absent_key_completes_it;
    a_claim_that_does_not_know_its_holder_is_caught: UnknownHolder by
        a_repeated_claim_by_the_holder_is_the_same_attempt,
        a_repeated_claim_by_the_holder_gives_a_fresh_lease,
        a_repeated_claim_after_the_lease_ended_is_the_same_attempt;
    a_constant_fence_is_caught: ConstantFence by
        a_released_key_is_acquired_as_the_next_attempt,
        a_lease_that_ended_is_taken_over,
        a_completion_is_forgotten_after_its_retention;
    a_constant_attempt_is_caught: ConstantAttempt by
        a_released_key_is_acquired_as_the_next_attempt,
        a_lease_that_ended_is_taken_over;
    a_check_before_the_act_is_caught: CheckThenAct by
        of_many_claims_at_once_exactly_one_wins;
    a_renewal_without_effect_is_caught: RenewalOnPaper by
        a_renewal_extends_the_lease,
        a_renewal_by_a_stranger_is_lost;
    a_renewal_that_ignores_the_owner_is_caught: RenewalByAnyone by
        a_renewal_by_a_stranger_is_lost,
        a_renewal_after_a_takeover_is_lost;
    a_lease_that_the_retention_cuts_short_is_caught: LeaseWithinTheRetention by
        a_live_lease_outlives_the_retention,
        a_renewed_lease_outlives_the_retention;
    a_completion_kept_as_the_claim_said_is_caught: RetentionOfTheClaim by
        a_completion_is_kept_from_its_report_on;
    a_release_that_undoes_a_completion_is_caught: ReleaseUndoesCompletion by
        a_completion_is_not_undone;
    a_claim_of_half_of_the_keys_is_caught: ClaimsHalf by
        several_fresh_keys_are_acquired_together,
        several_keys_are_not_acquired_while_one_is_held,
        several_keys_are_not_acquired_if_one_is_completed,
        of_many_claims_of_several_keys_exactly_one_wins;
    a_claim_that_keeps_what_it_took_is_caught: KeepsWhatItTook by
        several_keys_are_not_acquired_while_one_is_held,
        several_keys_are_not_acquired_if_one_is_completed;
    a_claim_that_forgets_the_fences_is_caught: ForgetsTheFences by
        several_keys_are_acquired_whatever_made_them_free;
    a_renewal_of_half_of_the_keys_is_caught: RenewsHalf by
        a_renewal_of_several_extends_each_lease;
    a_settlement_of_half_of_the_keys_is_caught: SettlesHalf by
        a_completion_of_several_completes_each,
        a_release_of_several_releases_each;
    a_verb_that_spares_the_keys_after_a_lost_one_is_caught: StopsAtTheFirstLost by
        a_renewal_of_several_extends_each_lease,
        a_completion_of_several_completes_each,
        a_release_of_several_releases_each;
}

/// These two take as long as the contract's patience.
mod slowly {
    use super::{Defect, contract, with};

    caught! {
        a_lease_that_never_ends_is_caught: EndlessLease by
            a_lease_that_ended_is_taken_over;
        a_completion_that_is_never_forgotten_is_caught: EndlessRetention by
            a_completion_is_forgotten_after_its_retention;
    }
}
