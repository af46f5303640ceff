//! The defaults of the table, checked by their effects.

use std::future::pending;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use scrapest_webhook::testing::{self, WebhookRequest};
use scrapest_webhook::{MemoryStore, Provider, WebhookLayer};
use support::in_process::{app, http, status};
use support::watched::{Asked, Watched};
use support::{Handler, SECRET, badger_layer, genuine, layer};
use tokio::time::Instant;
use tower::ServiceExt;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const DAY: u64 = 24 * 3_600;

fn from_badger() -> WebhookRequest {
    testing::scrapebadger(SECRET)
}

/// For the layer of each sender.
async fn answered_after<P: Provider>(layer: WebhookLayer<P>, request: WebhookRequest) -> u128 {
    let handler = Handler::new(|_, _| pending());
    let asked = Instant::now();
    assert_eq!(status(&app(layer, &handler), &request.sign()).await, 503);
    asked.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn the_answer_is_due_after_4_s_for_scrapest_and_8_s_for_scrapebadger() {
    assert!(matches!(answered_after(layer(), genuine()).await, 4_000..=4_005));
    assert!(matches!(answered_after(badger_layer(), from_badger()).await, 8_000..=8_005));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_take_5_s_in_total() {
    let endless = futures_util::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b' '; 103])), ()))
    });
    let asked = Instant::now();
    let request = http(&genuine().sign()).map(|_| Body::from_stream(endless));
    let answer = app(layer(), &Handler::ok()).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert!(matches!(asked.elapsed().as_millis(), 5_000..=5_005));
}

#[tokio::test(start_paused = true)]
async fn a_body_below_1_kib_per_second_is_cut_after_2_s() {
    for (piece, at) in [(101, 2_000..=2_005), (103, 5_000..=5_005)] {
        let slow = futures_util::stream::unfold((), move |()| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; piece])), ()))
        });
        let asked = Instant::now();
        let request = http(&genuine().sign()).map(|_| Body::from_stream(slow));
        let answer = app(layer(), &Handler::ok()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 408);
        assert!(at.contains(&asked.elapsed().as_millis()), "{piece}: {:?}", asked.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_lasts_15_s_renewed_every_5_s_up_to_the_run_limit_of_60_s() {
    let store = Watched::default();
    let handler = Handler::new(|_, _| pending());
    let app = app(layer().with_store(store.clone()), &handler);
    assert_eq!(status(&app, &genuine().sign()).await, 503);
    tokio::time::sleep(SECONDS(120)).await;
    let asked = store.asked();
    let begun = asked[0].0;
    let of_the_id = asked.into_iter().skip(1).step_by(2);
    let seconds: Vec<_> = of_the_id.map(|(at, asked)| ((at - begun).as_secs(), asked)).collect();
    let keep = SECONDS(DAY);
    let mut expected = vec![(0, Asked::Claim { lease: SECONDS(15), keep })];
    expected.extend((1..=11).map(|third| (third * 5, Asked::Renew { lease: SECONDS(15) })));
    // At the limit a renewal and the end are due at once, in either order.
    let (last, renewed) = (seconds.last().unwrap(), &seconds[..12]);
    assert_eq!((renewed, last), (&expected[..], &(60, Asked::Release)));
    assert!(seconds.len() <= 14, "{seconds:?}");
    assert_eq!((handler.runs(), handler.ended()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_memory_store_remembers_for_4_200_s() {
    let now = SystemTime::now();
    for (set_store, _) in [(false, ()), (true, ())] {
        let layer = layer().with_clock(move || now);
        let layer = if set_store { layer.with_store(MemoryStore::new()) } else { layer };
        let handler = Handler::ok();
        let app = app(layer, &handler);
        let request = genuine().with_time(now).sign();
        for (pause, runs) in [(0, 1), (4_199, 1), (2, 2)] {
            tokio::time::sleep(SECONDS(pause)).await;
            assert_eq!(status(&app, &request).await, 200);
            assert_eq!(handler.runs(), runs, "store set: {set_store}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_stores_remember_for_24_h_or_as_long_as_the_tolerances_need() {
    for (past, keep) in [(None, DAY), (Some(DAY - 420), DAY), (Some(3 * DAY), 3 * DAY + 420)] {
        let store = Watched::default();
        let layer = layer().with_store(store.clone());
        let layer =
            past.into_iter().fold(layer, |layer, past| layer.with_past_tolerance(SECONDS(past)));
        assert_eq!(status(&app(layer, &Handler::ok()), &genuine().sign()).await, 200);
        let keep = SECONDS(keep);
        let asked: Vec<_> = store.asked().into_iter().map(|(_, asked)| asked).collect();
        let claim = Asked::Claim { lease: SECONDS(15), keep };
        assert_eq!(asked, [claim, claim, Asked::Complete { keep }, Asked::Complete { keep }]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_is_3_600_s_back_or_300_s_if_signed_and_300_s_ahead() {
    let now = SystemTime::UNIX_EPOCH + SECONDS(1_772_625_600);
    let scrapest = app(layer().with_clock(move || now), &Handler::ok());
    let scrapebadger = app(badger_layer().with_clock(move || now), &Handler::ok());
    let contract_2 = || testing::scrapebadger_contract_2(SECRET);
    let cases: [(&_, &dyn Fn() -> WebhookRequest, u64); 4] = [
        (&scrapest, &genuine, 3_600),
        (&scrapest, &|| genuine().with_signed_timestamp(), 300),
        (&scrapebadger, &from_badger, 3_600),
        (&scrapebadger, &contract_2, 3_600),
    ];
    for (app, request, past) in cases {
        for (time, expected) in [
            (now - SECONDS(past), 200),
            (now - SECONDS(past) - Duration::from_nanos(1), 401),
            (now + SECONDS(300), 200),
            (now + SECONDS(301), 401),
        ] {
            // The header of an attempt has whole seconds, so a fraction of a second counts only for the body.
            let signed = past == 300 && expected == 401;
            let time = if signed && time < now { time - SECONDS(1) } else { time };
            let answer = status(app, &request().with_time(time).sign()).await;
            assert_eq!(answer, expected, "{past} s, {:?}", request());
        }
    }
}

#[test]
fn a_memory_store_has_room_for_250_000_deliveries_of_two_records() {
    let said = format!("{:?}", MemoryStore::new());
    assert!(said.contains("capacity: 500000"), "{said}");
    assert!(format!("{:?}", layer()).contains("capacity: 500000"));
}

#[test]
fn bodies_of_64_mib_in_total_may_be_in_flight() {
    let cap = 64 * 1_024 * 1_024;
    assert!(layer().with_body_limit(cap).check().is_ok());
    assert!(layer().with_body_limit(cap + 1).check().is_err());
}
