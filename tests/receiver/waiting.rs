//! Duplicates that arrive while the delivery runs: which of them wait, for how long, and which one takes over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, stream};
use scrapest_webhook::store::{DeliveryStore, MemoryStore, Owner};
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Delivery, RejectionKind};
use support::scripted::{ScriptedStore, Verb};
use support::{Framework, Handler, InProcess, client, eventually, genuine, layer};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// The number of waiters that one key, and one layer, has room for.
const PER_KEY: usize = 16;
const IN_ALL: usize = 1_024;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn handler(takes: Duration, status: u16) -> Handler {
    Handler::new(move |_, _| async move {
        sleep(takes).await;
        status
    })
}

/// The same bytes under another delivery id, as an attacker would send them.
fn replay(request: &SignedRequest, id: usize) -> SignedRequest {
    request.clone().with_header("x-scrapest-delivery-id", format!("replay-{id}"))
}

/// A store in which another process has claimed the request's keys with this lease, and then died.
async fn claimed_by_a_dead_process(request: &SignedRequest, lease: Duration) -> MemoryStore {
    let store = ScriptedStore::recording();
    InProcess::new(&layer().with_store(store.clone()), Handler::ok()).send(request).await;
    let shared = MemoryStore::new();
    for key in store.keys() {
        shared.claim(&key, Owner::random(), lease, millis(600_000)).await.unwrap();
    }
    shared
}

async fn duplicates_wait_and_get_the_success_of_the_first<F: Framework>() {
    let handler = handler(millis(700), 201);
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let first = client::begin(server.address, &client::text(&request)).await;
    eventually("the handler runs", || handler.runs() == 1).await;
    let answers = join_all((0..PER_KEY).map(|_| server.send(&request))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body.is_empty()));
    assert_eq!((handler.runs(), handler.ended()), (1, 1));
    drop(first);
}

async fn a_duplicate_takes_over_when_the_first_fails<F: Framework>() {
    let handler = Handler::new(|_, before| async move {
        sleep(millis(200)).await;
        [500, 503, 200][before]
    });
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let mut statuses: Vec<_> = join_all((0..5).map(|_| server.send(&request)))
        .await
        .iter()
        .map(|one| one.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 500, 503]);
    assert_eq!((handler.runs(), handler.most_at_once()), (3, 1));
    let attempts: Vec<_> = handler.deliveries().iter().map(Delivery::attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
}

async fn one_more_than_sixteen_waiters_is_answered_at_once<F: Framework>() {
    let may_end = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&may_end);
    let handler = Handler::new(move |_, _| {
        let told = Arc::clone(&told);
        async move {
            _ = told.acquire().await.unwrap();
            200
        }
    });
    // No wait ends because of a deadline.
    let layer = layer().with_answer_deadline(millis(60_000)).with_run_limit(millis(600_000));
    let server = F::serve(layer, handler.clone()).await;
    let request = genuine().sign();
    let text = client::text(&request);
    let mut running = client::begin(server.address, &text).await;
    eventually("the handler runs", || handler.runs() == 1).await;
    let mut requests: FuturesUnordered<_> =
        (0..PER_KEY + 3).map(|_| server.send(&request)).collect();
    // The surplus requests are answered while the others wait.
    for _ in 0..3 {
        let answer = requests.next().await.unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(handler.ended(), 0);
    let other = genuine().sign();
    let other = server.send(&other);
    may_end.add_permits(2);
    while let Some(answer) = requests.next().await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(client::read(&mut running).await.status, 200);
    assert_eq!(other.await.status, 200, "another delivery is not affected");
    assert_eq!(handler.runs(), 2);
}

async fn a_delivery_of_a_dead_process_is_taken_over_when_its_lease_ends<F: Framework>() {
    let (request, handler) = (genuine().sign(), Handler::ok());
    let shared = claimed_by_a_dead_process(&request, millis(800)).await;
    let server = F::serve(layer().with_store(shared), handler.clone()).await;
    let began = Instant::now();
    assert_eq!(server.send(&request).await.status, 200);
    let took = began.elapsed();
    assert!(took >= millis(700), "{took:?}");
    assert_eq!(handler.deliveries()[0].attempt(), 2);
}

async fn many_duplicates_over_sockets_run_once_each<F: Framework>() {
    let handler = handler(millis(50), 200);
    let server = F::serve(layer(), handler.clone()).await;
    let requests: Vec<_> = (0..10).map(|_| genuine().sign()).collect();
    let answers = join_all((0..400).map(|nth| server.send(&requests[nth % requests.len()]))).await;
    assert!(answers.iter().all(|answer| [200, 503].contains(&answer.status)));
    let keys: HashSet<_> = handler.deliveries().iter().map(Delivery::key).collect();
    assert_eq!((keys.len(), handler.runs()), (10, 10));
}

// Tests without a socket, in paused time.

#[tokio::test(start_paused = true)]
async fn a_duplicate_of_a_run_that_does_not_end_is_a_503_at_the_answer_deadline() {
    let receiver = InProcess::new(&layer(), handler(millis(30_000), 200));
    let request = genuine().sign();
    let running = tokio::spawn(receiver.ask(&request));
    sleep(millis(1_000)).await;
    let began = Instant::now();
    let (answer, reason) = receiver.ask(&request).await;
    assert_eq!((answer.status, reason), (503, Some(RejectionKind::InProgress)));
    let took = began.elapsed();
    assert!(took >= millis(4_000) && took < millis(4_100), "{took:?}");
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=15).contains(&retry_after), "no later than the lease's end");
    assert_eq!(running.await.unwrap().1, Some(RejectionKind::AnswerDeadline));
}

#[tokio::test(start_paused = true)]
async fn a_takeover_happens_exactly_at_the_end_of_the_lease() {
    for left in [1, 49, 50, 51, 700, 3_333, 3_999] {
        let request = genuine().sign();
        let shared = claimed_by_a_dead_process(&request, millis(left)).await;
        let receiver = InProcess::new(&layer().with_store(shared), Handler::ok());
        let began = Instant::now();
        assert_eq!(receiver.status(&request).await, 200, "{left}");
        let took = began.elapsed();
        assert!(took >= millis(left) && took <= millis(left + 5), "{left}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_1_024_wait_in_total_and_each_departure_makes_room() {
    let handler = handler(millis(3_000), 200);
    let receiver = InProcess::new(&layer(), handler.clone());
    let requests: Vec<_> = (0..=IN_ALL / PER_KEY).map(|_| genuine().sign()).collect();
    let running: Vec<_> =
        requests.iter().map(|request| tokio::spawn(receiver.ask(request))).collect();
    sleep(millis(10)).await;
    let mut waiting: Vec<_> = requests[1..]
        .iter()
        .flat_map(|request| (0..PER_KEY).map(|_| tokio::spawn(receiver.ask(request))))
        .collect();
    assert_eq!(waiting.len(), IN_ALL);
    sleep(millis(10)).await;

    let one_more = receiver.ask(&requests[0]).now_or_never().expect("an answer at once");
    assert_eq!((one_more.0.status, one_more.1), (503, Some(RejectionKind::TooManyWaiting)));
    waiting.pop().unwrap().abort();
    sleep(millis(1)).await;
    let mut place_taken = Box::pin(receiver.ask(&requests[0]));
    assert!(place_taken.as_mut().now_or_never().is_none(), "the request waits");
    assert!(receiver.ask(&requests[0]).now_or_never().is_some(), "full again");

    assert_eq!(place_taken.await.0.status, 200);
    for task in running.into_iter().chain(waiting) {
        assert_eq!(task.await.unwrap().0.status, 200);
    }
    assert_eq!(handler.runs(), requests.len());
}

#[tokio::test(start_paused = true)]
async fn replays_under_many_ids_share_the_waiter_limit_of_one_delivery() {
    let handler = handler(millis(3_000), 200);
    let receiver = InProcess::new(&layer(), handler.clone());
    let request = genuine().sign();
    let running = tokio::spawn(receiver.ask(&request));
    sleep(millis(10)).await;
    let replays: Vec<_> =
        (0..IN_ALL).map(|id| tokio::spawn(receiver.ask(&replay(&request, id)))).collect();
    sleep(millis(10)).await;
    let refused = replays.iter().filter(|task| task.is_finished()).count();
    assert_eq!(refused, IN_ALL - PER_KEY);
    assert_eq!(running.await.unwrap().0.status, 200);
    for task in replays {
        assert!([200, 503].contains(&task.await.unwrap().0.status));
    }
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiters_share_one_body() {
    let handler = handler(millis(3_000), 200);
    // Room for the body of the run, the body that all waiters share, and one that is being read. An eighth is
    // reserved for small bodies.
    let layer = layer().with_body_limit(100_000).with_bytes_in_flight(343_000);
    let receiver = InProcess::new(&layer, handler.clone());
    let time = time::OffsetDateTime::now_utc();
    let time = time.format(&time::format_description::well_known::Rfc3339).unwrap();
    let filler = "x".repeat(99_900);
    let body = format!(r#"{{"event":"tweet.created","timestamp":"{time}","x":"{filler}"}}"#);
    assert!(body.len() <= 100_000);
    let request = genuine().with_body(body).sign();
    let running = tokio::spawn(receiver.ask(&request));
    sleep(millis(10)).await;
    let mut waiting = Vec::new();
    for nth in 0..PER_KEY {
        let duplicate = if nth % 2 == 0 { request.clone() } else { replay(&request, nth) };
        waiting.push(tokio::spawn(receiver.ask(&duplicate)));
        sleep(millis(1)).await;
    }
    for task in waiting {
        assert_eq!(task.await.unwrap().0.status, 200);
    }
    assert_eq!(running.await.unwrap().0.status, 200);
    assert_eq!(handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_polls_the_store_once_at_a_time_with_growing_pauses() {
    let store = ScriptedStore::recording();
    let receiver = InProcess::new(&layer().with_store(store.clone()), handler(millis(3_000), 200));
    let request = genuine().sign();
    let running = tokio::spawn(receiver.ask(&request));
    sleep(millis(10)).await;
    let before = store.calls().len();
    let began = Instant::now();
    assert_eq!(receiver.status(&request).await, 200);
    let asked = &store.calls()[before..];
    let times: Vec<_> = asked
        .iter()
        .filter(|call| call.verb == Verb::Claim)
        .map(|call| u64::try_from((call.at - began).as_millis()).unwrap())
        .collect();
    // 50, 100, 200, 400, 500, …, each up to 1 ms late because of the timer.
    assert!(times[1] < 55 && times[2] < 155 && times[3] < 360 && times[4] < 760, "{times:?}");
    assert!(times.len() < 12, "{times:?}");
    let others = asked.iter().filter(|call| matches!(call.verb, Verb::Release | Verb::Renew));
    assert_eq!(others.count(), 0, "a key that was never claimed needs no release");
    running.await.unwrap();
}

/// The full number: 200,000 requests, of which 4,000, all requests of four deliveries, are under way at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_deliveries_with_a_thousand_duplicates_run_once_each() {
    let handler = handler(millis(20), 200);
    let receiver = InProcess::new(&layer(), handler.clone());
    let requests: Vec<_> = (0..200).map(|_| genuine().sign()).collect();
    let questions = (0..200_000_usize).map(|nth| {
        let question = receiver.ask(&requests[nth / 1_000]);
        tokio::spawn(question).map(|answer| answer.unwrap().0.status)
    });
    let all =
        stream::iter(questions).buffer_unordered(4_000).fold((0, 0), async |(ok, busy), status| {
            match status {
                200 => (ok + 1, busy),
                503 => (ok, busy + 1),
                other => panic!("{other}"),
            }
        });
    let (ok, busy) = timeout(Duration::from_secs(120), all).await.expect("in two minutes");
    assert_eq!(ok + busy, 200_000);
    assert!(ok >= 200, "{ok} successes");
    assert_eq!(handler.runs(), 200);
}

support::for_each_framework! {
    duplicates_wait_and_get_the_success_of_the_first,
    a_duplicate_takes_over_when_the_first_fails,
    one_more_than_sixteen_waiters_is_answered_at_once,
    a_delivery_of_a_dead_process_is_taken_over_when_its_lease_ends,
    many_duplicates_over_sockets_run_once_each,
}
