//! Exactly once: a handler that commits its own row together with the record of its delivery. The tests count
//! the rows of a table without a unique constraint.

mod application;
mod commits;
mod killed;
mod zombies;

use application::Database;
use support::Folder;
use support::servers::postgres::Postgres;

/// Runs a test against both stores.
macro_rules! on_both_stores {
    ($($test:path as $name:ident;)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                let folder = crate::Folder::new();
                $test(crate::Database::create(&format!("sqlite:{}", folder.file("app.db"))).await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test] async fn $name() {
                let Some(server) = crate::Postgres::start(&[]) else { return };
                $test(crate::Database::create(&server.url()).await).await;
            })*
        }
    };
}

on_both_stores! {
    crate::killed::before_the_effect as a_receiver_killed_before_the_effect;
    crate::killed::after_the_effect as a_receiver_killed_after_the_effect;
    crate::killed::before_the_commit as a_receiver_killed_before_the_commit;
    crate::killed::after_the_commit as a_receiver_killed_after_the_commit;
    crate::killed::after_an_answer as a_receiver_killed_after_an_answer;
    crate::killed::a_kill_after_a_commit_without_the_record_causes_a_detected_duplicate
        as a_kill_after_a_commit_without_the_record_causes_a_detected_duplicate;
    crate::zombies::a_late_attempt_that_was_taken_over_rolls_back
        as a_late_attempt_that_was_taken_over_rolls_back;
    crate::zombies::an_attempt_that_was_taken_over_may_commit_first
        as an_attempt_that_was_taken_over_may_commit_first;
    crate::zombies::concurrent_transactions_wait_for_each_other as concurrent_transactions_wait_for_each_other;
    crate::zombies::an_error_after_the_commit_undoes_nothing
        as an_error_after_the_commit_undoes_nothing;
    crate::zombies::a_rollback_lets_the_retry_run
        as a_rollback_lets_the_retry_run;
    crate::commits::a_success_without_its_commit_is_a_500_and_the_retry_runs
        as a_success_without_its_commit_is_a_500_and_the_retry_runs;
    crate::commits::a_completion_after_the_answer_is_refused
        as a_completion_after_the_answer_is_refused;
    crate::zombies::a_transaction_on_another_database_is_refused
        as a_transaction_on_another_database_is_refused;
}

#[tokio::test]
async fn an_unconfirmed_commit_is_a_503_and_its_retry_a_200() {
    let Some(server) = Postgres::start(&[]) else { return };
    commits::a_commit_that_cannot_be_confirmed(server).await;
}

mod serializable {
    async fn server() -> Option<(crate::Postgres, crate::Database)> {
        let server = crate::Postgres::start(&[])?;
        let setting = "&options=-cdefault_transaction_isolation%3Dserializable";
        let database = crate::Database::create(&(server.url() + setting)).await;
        Some((server, database))
    }

    #[tokio::test]
    async fn the_server_rejects_the_second_of_two_concurrent_transactions() {
        let Some((_server, database)) = server().await else { return };
        crate::zombies::the_server_rejects_the_second_of_two_concurrent_transactions(database)
            .await;
    }

    #[tokio::test]
    async fn a_renewal_during_the_transaction_fails_the_attempt() {
        let Some((_server, database)) = server().await else { return };
        crate::zombies::a_renewal_during_the_transaction_fails_the_attempt(database).await;
    }
}

/// Not a test: the tests start it as a separate process.
#[tokio::test]
async fn receiver_process_for_other_tests() {
    killed::serve_if_told().await;
}
