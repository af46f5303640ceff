//! The configurable caps over all requests: above them the answer is 503, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use scrapest_webhook::RejectionKind;
use scrapest_webhook::testing;
use support::watched::{Asked, Watched};
use support::{
    Framework, Handler, InProcess, SECRET, badger_layer, client, eventually, genuine, layer,
};
use tokio::sync::Semaphore;
use tokio::time::sleep;

async fn deliveries_above_the_cap_of_runs_get_retry_after_and_are_not_claimed<F: Framework>() {
    let may_end = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&may_end);
    let handler = Handler::new(move |_, _| {
        let waits = Arc::clone(&waits);
        async move {
            waits.acquire().await.unwrap().forget();
            200
        }
    });
    let store = Watched::default();
    let layer = layer().with_max_concurrent_runs(2).with_store(store.clone());
    let server = F::serve(layer, handler.clone()).await;
    let running: Vec<_> =
        join_all((0..2).map(|_| async {
            client::begin(server.address, &client::text(&genuine().sign())).await
        }))
        .await;
    eventually("both run", || handler.runs() == 2).await;
    let asked = store.asked().len();

    let third = genuine().sign();
    let answer = server.send(&third).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(store.asked().len(), asked, "the store knows nothing of it");

    may_end.add_permits(3);
    eventually("both have ended", || handler.ended() == 2).await;
    drop(running);
    // The permit is free once the end is recorded.
    let completed = || {
        let asked = store.asked();
        asked.iter().filter(|(_, asked)| matches!(asked, Asked::Complete { .. })).count() == 4
    };
    eventually("it is recorded", completed).await;
    assert_eq!(server.send(&third).await.status, 200, "its retry runs");
    assert_eq!((handler.runs(), handler.most_at_once()), (3, 2));
}

support::for_each_framework! {
    deliveries_above_the_cap_of_runs_get_retry_after_and_are_not_claimed,
}

fn slow() -> Handler {
    Handler::new(|_, _| async {
        sleep(Duration::from_secs(20)).await;
        200
    })
}

#[tokio::test(start_paused = true)]
async fn an_answered_run_counts_until_its_end() {
    let app = InProcess::new(&badger_layer().with_max_concurrent_runs(1), slow());
    let request = || testing::scrapebadger(SECRET).sign();
    assert_eq!(app.ask(&request()).await.1, Some(RejectionKind::AnswerDeadline));
    assert_eq!(app.ask(&request()).await.1, Some(RejectionKind::TooManyRuns));
    sleep(Duration::from_secs(13)).await;
    assert_eq!(app.ask(&request()).await.1, Some(RejectionKind::AnswerDeadline));
}

#[tokio::test(start_paused = true)]
async fn waiters_do_not_count_as_runs() {
    let handler = Handler::new(|_, _| async {
        sleep(Duration::from_secs(2)).await;
        200
    });
    let app = InProcess::new(&layer().with_max_concurrent_runs(2), handler.clone());
    let request = genuine().sign();
    let duplicates = join_all((0..4).map(|_| app.ask(&request)));
    let other = async {
        sleep(Duration::from_secs(1)).await;
        app.status(&genuine().sign()).await
    };
    let (answers, other) = tokio::join!(duplicates, other);
    assert!(answers.iter().all(|(answer, _)| answer.status == 200), "{answers:?}");
    assert_eq!((other, handler.runs()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_limited_per_delivery_and_in_total() {
    let app = InProcess::new(&layer().with_max_waiters(2, 3), slow());
    let (one, two) = (genuine().sign(), genuine().sign());
    let asked =
        join_all([&one, &two, &one, &one, &one, &two, &two].map(|request| app.ask(request)));
    let reasons: Vec<_> = asked.await.into_iter().filter_map(|(_, reason)| reason).collect();
    let count = |kind| reasons.iter().filter(|reason| **reason == kind).count();
    // Two run, two wait for the first and one for the second: then the total cap is reached.
    assert_eq!(count(RejectionKind::AnswerDeadline), 2);
    assert_eq!(count(RejectionKind::InProgress), 3);
    assert_eq!(count(RejectionKind::TooManyWaiting), 2);

    let app = InProcess::new(&layer().with_max_waiters(0, 3), slow());
    let (_, second) = tokio::join!(app.ask(&one), app.ask(&one));
    assert_eq!(second.1, Some(RejectionKind::TooManyWaiting));
}

#[test]
fn a_cap_of_zero_runs_is_a_configuration_error() {
    let error = layer().with_max_concurrent_runs(0).check().unwrap_err();
    assert_eq!(error.to_string(), "max_concurrent_runs: is 0, expected more than 0");
}
