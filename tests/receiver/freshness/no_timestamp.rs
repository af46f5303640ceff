//! Deliveries without a signed timestamp: test events, and an insecure setting.

use scrapest_webhook::scrapest::Scrapest;
use support::{Framework, Handler, Raw, layer};

use super::{NOON, Noon, at, body, detected, seconds, seconds_of, undated};

async fn an_unsigned_timestamp_alone_suffices_only_if_configured<F: Framework>() {
    let handler = Handler::ok();
    let provider = Scrapest::default().with_insecure_unsigned_timestamp(true);
    let insecure = F::serve(at(layer().with_provider(provider), NOON), handler.clone()).await;
    let noon = Noon::serve::<F>().await;
    let dated = |time| Raw::scrapest(undated()).with("x-scrapest-timestamp", seconds(time));
    for (time, status) in [
        (NOON, 200),
        (NOON - seconds_of(3_600), 200),
        (NOON - seconds_of(3_601), 401),
        (NOON + seconds_of(300), 200),
        (NOON + seconds_of(301), 401),
    ] {
        assert!(!noon.accepts(&dated(time)).await);
        assert_eq!(insecure.raw(&dated(time)).await.status, status, "{time}");
    }
    assert_eq!(handler.deliveries()[0].timestamp(), None, "an unsigned timestamp is not passed on");
    assert_eq!(
        insecure.raw(&Raw::scrapest(undated())).await.status,
        401,
        "a timestamp is required"
    );
    let stale = Raw::scrapest(body("0")).with("x-scrapest-timestamp", seconds(NOON));
    assert_eq!(insecure.raw(&stale).await.status, 401, "a signed timestamp is still checked");
    assert_eq!(handler.runs(), 3);
}

async fn a_test_event_may_lack_a_timestamp_but_must_not_have_a_stale_one<F: Framework>() {
    let noon = Noon::serve::<F>().await;
    for body in
        [r#"{"type":"test"}"#, r#"{"event":"test"}"#, r#"{"type":"test","detected_at":null}"#]
    {
        assert!(noon.accepts(&Raw::badger(body)).await, "{body}");
        let delivery = noon.handler.deliveries().pop().unwrap();
        assert_eq!((delivery.kind(), delivery.timestamp()), (Some("test"), None));
    }
    for detected_at in ["0", "\"2026-03-04T10:59:59Z\"", "\"\"", "\"soon\"", "true", "{}", "1e9"] {
        for kind in ["test", "tweet"] {
            let body = detected(kind, detected_at);
            assert!(!noon.accepts(&Raw::badger(body.clone())).await, "{body}");
            assert!(!noon.accepts(&Raw::badger_2(body.clone())).await, "{body}");
        }
    }
    // A kind that occurs twice with the same value counts.
    let body = r#"{"type":"test","type":"test"}"#;
    assert!(noon.accepts(&Raw::badger(body)).await, "{body}");
    // Nothing else is exempt: neither a kind that resembles a test event's nor a body with two kinds.
    for body in [
        r#"{"type":"tweet","event":"test"}"#,
        r#"{"type":"Test"}"#,
        r#"{"type":"test "}"#,
        r#"{"type":["test"]}"#,
        r#"{"type":"test","type":"tweet"}"#,
        r#"{"data":{"type":"test"}}"#,
        r#"[{"type":"test"}]"#,
        r#"{"type":"test"}{"type":"test"}"#,
        "\u{feff}{\"type\":\"test\"}",
    ] {
        assert!(!noon.accepts(&Raw::badger(body)).await, "{body}");
    }
}

support::for_each_framework! {
    an_unsigned_timestamp_alone_suffices_only_if_configured,
    a_test_event_may_lack_a_timestamp_but_must_not_have_a_stale_one,
}
