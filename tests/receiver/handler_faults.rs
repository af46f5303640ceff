//! Deliveries whose handler fails, panics or hangs.

use std::any::Any;
use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use scrapest_webhook::RejectionKind;
use scrapest_webhook::store::MemoryStore;
use support::{Framework, Handler, InProcess, Run, eventually, genuine, layer};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// A retry that is answered within this time did not wait for the end of a lease, which is 15 s.
pub const AT_ONCE: Duration = Duration::from_secs(9);

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// The handler fails.

async fn a_failed_handler_does_not_swallow_the_retry<F: Framework>() {
    for status in [300, 302, 304, 400, 401, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504, 599] {
        let handler =
            Handler::new(move |_, before| async move { if before == 0 { status } else { 200 } });
        let server = F::serve(layer(), handler.clone()).await;
        let request = genuine().sign();
        assert_eq!(server.send(&request).await.status, status, "the handler's own answer");
        assert_eq!(server.send(&request).await.status, 200);
        assert_eq!(server.send(&request).await.status, 200);
        let attempts: Vec<_> = handler.deliveries().iter().map(|one| one.attempt()).collect();
        assert_eq!(attempts, [1, 2], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_2xx_is_a_success() {
    for status in (100..1000).step_by(7).chain([199, 200, 299, 300]) {
        let handler = Handler::new(move |_, _| async move { status });
        let receiver = InProcess::new(&layer(), handler.clone());
        let request = genuine().sign();
        assert_eq!(receiver.status(&request).await, status);
        receiver.send(&request).await;
        let success = (200..300).contains(&status);
        assert_eq!(handler.runs(), if success { 1 } else { 2 }, "{status}");
    }
}

// The handler panics.

/// Panics on drop.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

/// Ready at once, and panics on drop.
struct Trap(Option<Bomb>);

impl Future for Trap {
    type Output = u16;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u16> {
        self.0.get_or_insert(Bomb);
        Poll::Ready(200)
    }
}

type Panic = (&'static str, fn() -> Run);

const PANICS: [Panic; 8] = [
    ("before there is a future", || panic!("early")),
    ("before the first await", || Box::pin(async { panic!("at once") })),
    ("after an await", || {
        Box::pin(async {
            sleep(millis(20)).await;
            panic!("late")
        })
    }),
    ("with a number", || Box::pin(async { panic_any(7_u32) })),
    ("with a box of a box", || Box::pin(async { panic_any(Box::new("x") as Box<dyn Any + Send>) })),
    ("with what panics in drop", || {
        Box::pin(async {
            sleep(millis(20)).await;
            panic_any(Bomb)
        })
    }),
    ("in the drop of a local value", || {
        Box::pin(async {
            let _bomb = Bomb;
            200
        })
    }),
    ("in the drop of its future", || Box::pin(Trap(None))),
];

async fn a_panic_is_a_500_and_the_retry_runs<F: Framework>() {
    for (when, panic) in PANICS {
        let handler =
            Handler::new(
                move |_, before| {
                    if before == 0 { panic() } else { Box::pin(async { 200_u16 }) as Run }
                },
            );
        let server = F::serve(layer(), handler.clone()).await;
        let request = genuine().sign();
        assert_eq!(server.send(&request).await.status, 500, "{when}");
        let began = Instant::now();
        assert_eq!(server.send(&request).await.status, 200, "{when}");
        assert!(began.elapsed() < AT_ONCE, "{when}: released, and not left to the lease's end");
        assert_eq!(handler.runs(), 2, "{when}");
    }
}

// The handler hangs.

async fn a_slow_handler_is_a_503_and_the_run_continues<F: Framework>() {
    let may_end = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&may_end);
    let handler = Handler::new(move |_, _| {
        let told = Arc::clone(&told);
        async move {
            _ = told.acquire().await.unwrap();
            204
        }
    });
    let layer = layer().with_answer_deadline(millis(350));
    let server = F::serve(layer.clone(), handler.clone()).await;
    let request = genuine().sign();
    let answer = server.send(&request).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(handler.ended(), 0);

    let waiting = server.send(&request).await;
    assert_eq!(waiting.status, 503, "the retry found it running and waited in vain");
    may_end.add_permits(1);
    eventually("it ends", || handler.ended() == 1).await;
    assert!(layer.drain(AT_ONCE).await);
    let answer = server.send(&request).await;
    assert_eq!(answer.status, 200, "the next one is told of its success");
    assert_eq!((handler.runs(), handler.ended()), (1, 1));
}

async fn a_slow_handler_that_finally_fails_lets_the_retry_run<F: Framework>() {
    let may_end = Arc::new(Semaphore::new(0));
    let told = Arc::clone(&may_end);
    let handler = Handler::new(move |_, before| {
        let told = Arc::clone(&told);
        async move {
            if before > 0 {
                return 200;
            }
            _ = told.acquire().await.unwrap();
            500
        }
    });
    let server = F::serve(layer().with_answer_deadline(millis(1_500)), handler.clone()).await;
    let request = genuine().sign();
    assert_eq!(server.send(&request).await.status, 503);
    let (retry, ()) = tokio::join!(server.send(&request), async { may_end.add_permits(1) });
    assert_eq!(retry.status, 200, "waited, and took over");
    assert_eq!((handler.runs(), handler.most_at_once()), (2, 1));
}

/// Never ready; records its drop.
fn hanging(ended: &Arc<AtomicBool>, bomb: bool) -> Run {
    struct Said(Arc<AtomicBool>, bool);
    impl Drop for Said {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            assert!(!self.1, "in drop");
        }
    }
    let said = Said(Arc::clone(ended), bomb);
    Box::pin(async move {
        let _said = said;
        std::future::pending().await
    })
}

async fn a_handler_at_its_run_limit_is_ended_and_the_retry_runs<F: Framework>() {
    // Before the answer deadline, and long after it.
    for (run_limit, answer_deadline) in [(300, 2_000), (900, 300)] {
        for bomb in [false, true] {
            let ended = Arc::<AtomicBool>::default();
            let seen = Arc::clone(&ended);
            let handler = Handler::new(move |_, before| match before {
                0 => hanging(&seen, bomb),
                _ => Box::pin(async { 200 }),
            });
            let layer = layer()
                .with_run_limit(millis(run_limit))
                .with_answer_deadline(millis(answer_deadline));
            let server = F::serve(layer.clone(), handler.clone()).await;
            let request = genuine().sign();
            let answer = server.send(&request).await;
            assert_eq!(answer.status, 503);
            assert!(answer.header("retry-after").is_some());
            assert!(layer.drain(AT_ONCE).await);
            assert!(ended.load(Ordering::SeqCst), "its future was dropped");
            let began = Instant::now();
            assert_eq!(server.send(&request).await.status, 200);
            assert!(began.elapsed() < AT_ONCE);
            assert_eq!(handler.deliveries()[1].attempt(), 2);
        }
    }
}

// The process ends.

/// A runtime stands in for a process: its tasks end during a run when it is dropped.
#[test]
fn a_delivery_of_a_dead_process_is_retried_after_its_lease() {
    let store = MemoryStore::new();
    let request = genuine().sign();
    let layer = layer().with_store(store).with_lease(millis(600));

    let doomed = tokio::runtime::Runtime::new().unwrap();
    let handler = Handler::new(|_, _| std::future::pending());
    let receiver = InProcess::new(&layer, handler.clone());
    let question = receiver.ask(&request);
    doomed.block_on(async {
        tokio::spawn(question);
        eventually("it runs", || handler.runs() == 1).await;
    });
    doomed.shutdown_timeout(Duration::from_secs(1));

    let heir = tokio::runtime::Runtime::new().unwrap();
    heir.block_on(async {
        let handler = Handler::ok();
        let receiver = InProcess::new(&layer, handler.clone());
        let began = Instant::now();
        let (answer, reason) = receiver.ask(&request).await;
        assert_eq!((answer.status, reason), (200, None), "waited for the lease's end and ran");
        assert!(began.elapsed() < AT_ONCE);
        assert_eq!(handler.deliveries()[0].attempt(), 2);
        assert_eq!(receiver.ask(&request).await.1, Some(RejectionKind::Duplicate));
    });
}

#[test]
fn a_time_that_would_overflow_a_clock_is_refused_before_the_first_request() {
    const EVER: Duration = Duration::MAX;
    let layers = [
        layer().with_answer_deadline(EVER),
        layer().with_body_deadline(EVER),
        layer().with_run_limit(EVER),
        layer().with_lease(EVER),
        layer().with_retention(EVER),
        layer().with_past_tolerance(EVER),
        layer().with_future_tolerance(EVER),
    ];
    for layer in layers {
        let setting = layer.check().unwrap_err().to_string();
        assert!(setting.contains("expected at most"), "{setting}");
    }
}

support::for_each_framework! {
    a_failed_handler_does_not_swallow_the_retry,
    a_panic_is_a_500_and_the_retry_runs,
    a_slow_handler_is_a_503_and_the_run_continues,
    a_slow_handler_that_finally_fails_lets_the_retry_run,
    a_handler_at_its_run_limit_is_ended_and_the_retry_runs,
}
