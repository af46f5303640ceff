//! The contract that every store must fulfil, as tests (feature `testing`).
//!
//! To test a store of your own, add one line to a file under `tests/`:
//!
//! ```
//! # use scrapest_webhook::store::MemoryStore;
//! scrapest_webhook::store_contract_tests!(MemoryStore::new());
//! ```
//!
//! Each clause of the contract is a function of this module and becomes a test with the same name. If the store
//! breaks a clause, the test panics and names the broken sentence. Clauses use new keys, so they may run in
//! parallel, against one server, and again without cleaning up.
//!
//! The tests run in real time, because a store has its own clock. A clause that waits for the end of a lease waits
//! up to 10 s, and a clause that needs a running lease takes one of 60 s. A busy machine therefore makes the
//! clauses slow, but does not make them fail.

mod claim;
mod clause;
mod complete;
mod lease;
mod race;
mod release;
mod several;

pub use self::claim::*;
pub use self::complete::*;
pub use self::lease::*;
pub use self::race::*;
pub use self::release::*;
pub use self::several::*;

/// Expands to one test for each clause of the [contract](crate::store::contract).
///
/// It takes an expression that returns the store. The expression is evaluated in each test, within an `async fn`,
/// and may return a new store each time or another connection to the same store. The calling crate needs `tokio`
/// with the features `macros` and `rt-multi-thread`, and this crate with the feature `testing`, in its
/// dev-dependencies.
///
/// ```
/// # use scrapest_webhook::store::MemoryStore;
/// # async fn connect(_: &str) -> Result<MemoryStore, std::io::Error> { Ok(MemoryStore::new()) }
/// mod one_process {
///     use scrapest_webhook::store::MemoryStore;
///     scrapest_webhook::store_contract_tests!(MemoryStore::new());
/// }
///
/// mod one_server {
///     # use super::connect;
///     scrapest_webhook::store_contract_tests!(connect("localhost").await.expect("a server"));
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_contract_tests {
    (@each ($store:expr) $($clause:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $clause() {
                $crate::store::contract::$clause($store).await;
            }
        )*
    };
    ($store:expr $(,)?) => {
        $crate::store_contract_tests! { @each ($store)
            a_fresh_key_is_acquired_as_the_first_attempt
            a_held_key_is_in_progress_for_everyone_else
            a_repeated_claim_by_the_holder_is_the_same_attempt
            a_repeated_claim_by_the_holder_gives_a_fresh_lease
            a_repeated_claim_after_the_lease_ended_is_the_same_attempt
            a_live_lease_outlives_the_retention
            keys_are_independent

            a_lease_that_ended_is_taken_over
            a_late_owner_finds_its_successor_in_progress
            a_renewal_extends_the_lease
            a_renewed_lease_outlives_the_retention
            a_renewed_lease_also_ends
            a_renewal_after_the_lease_ended_is_done_if_nobody_took_over
            a_renewal_after_a_takeover_is_lost
            a_renewal_by_a_stranger_is_lost
            a_renewal_of_an_absent_key_is_lost
            a_renewal_after_the_release_is_lost

            a_released_key_is_acquired_as_the_next_attempt
            a_release_after_the_lease_ended_is_done_if_nobody_took_over
            a_release_by_a_stranger_is_lost
            a_release_of_an_absent_key_is_lost
            a_repeated_release_is_harmless
            a_late_failure_does_not_affect_the_successor

            a_completed_key_is_completed_for_everyone
            a_completion_after_the_lease_ended_is_done_if_nobody_took_over
            a_completion_is_not_undone
            a_repeated_completion_is_harmless
            a_late_success_completes_the_key
            a_success_reported_after_the_release_completes_the_key
            a_success_for_an_absent_key_completes_it
            retention_starts_when_the_completion_is_reported
            a_completion_is_forgotten_after_its_retention

            exactly_one_of_many_concurrent_claims_wins
            exactly_one_of_many_claims_of_a_released_key_wins
            exactly_one_of_many_claims_of_an_ended_lease_wins
            a_success_that_races_with_a_takeover_is_kept

            several_fresh_keys_are_acquired_together
            several_keys_are_not_acquired_while_one_is_held
            several_keys_are_not_acquired_if_one_is_completed
            several_keys_are_acquired_however_they_became_free
            a_repeated_claim_of_several_is_the_same_attempt
            a_renewal_of_several_extends_each_lease
            a_completion_of_several_completes_each
            a_release_of_several_releases_each
            exactly_one_of_many_claims_of_several_keys_wins
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_clause_is_in_the_macro() {
        let clauses = [
            include_str!("claim.rs"),
            include_str!("complete.rs"),
            include_str!("lease.rs"),
            include_str!("race.rs"),
            include_str!("release.rs"),
            include_str!("several.rs"),
        ];
        let mut listed: Vec<_> = include_str!("mod.rs")
            .lines()
            .skip_while(|line| !line.contains("@each ($store)"))
            .skip(1)
            .take_while(|line| !line.contains('}'))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let mut written: Vec<_> = clauses
            .iter()
            .flat_map(|file| file.split("pub async fn ").skip(1))
            .filter_map(|rest| rest.split(['(', '<']).next())
            .collect();
        listed.sort_unstable();
        written.sort_unstable();
        assert_eq!(listed, written);
    }
}
