//! The memory store keeps the contract of all stores. A store with a defect that others have shipped does not.

mod defective;

use scrapest_webhook::store::contract;

use self::defective::{Defect, with};

mod kept {
    use scrapest_webhook::store::MemoryStore;

    scrapest_webhook::store_contract_tests!(MemoryStore::new());
}

/// A store with only the required verbs, as a user may write it, behind the pointer that a layer keeps.
mod provided {
    use scrapest_webhook::store::AnyStore;
    use support::scripted::ScriptedStore;

    scrapest_webhook::store_contract_tests!(AnyStore::new(ScriptedStore::recording()));
}

/// A store without a defect passes every clause.
mod sound {
    use super::{Defect, with};

    scrapest_webhook::store_contract_tests!(with(Defect::None));
}

/// Defines one test per defect: every named clause must fail.
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
        a_late_failure_does_not_affect_the_successor;
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
        exactly_one_of_many_concurrent_claims_wins;
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
        retention_starts_when_the_completion_is_reported;
    a_release_that_undoes_a_completion_is_caught: ReleaseUndoesCompletion by
        a_completion_is_not_undone;
    a_claim_of_half_of_the_keys_is_caught: ClaimsHalf by
        several_fresh_keys_are_acquired_together,
        several_keys_are_not_acquired_while_one_is_held,
        several_keys_are_not_acquired_if_one_is_completed,
        exactly_one_of_many_claims_of_several_keys_wins;
    a_claim_that_keeps_what_it_took_is_caught: KeepsWhatItTook by
        several_keys_are_not_acquired_while_one_is_held,
        several_keys_are_not_acquired_if_one_is_completed;
    a_claim_that_forgets_the_fences_is_caught: ForgetsTheFences by
        several_keys_are_acquired_however_they_became_free;
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

/// These two tests take as long as the contract waits for an event.
mod slowly {
    use super::{Defect, contract, with};

    caught! {
        a_lease_that_never_ends_is_caught: EndlessLease by
            a_lease_that_ended_is_taken_over;
        a_completion_that_is_never_forgotten_is_caught: EndlessRetention by
            a_completion_is_forgotten_after_its_retention;
    }
}
