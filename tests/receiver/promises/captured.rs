//! Promise 3: a captured request is useless. While the store remembers it, it is a duplicate; after that, it is too
//! old.

use std::time::{Duration, SystemTime};

use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Provider, WebhookLayer};
use support::{
    Framework, Handler, InProcess, SECRET, badger_layer, client, eventually, genuine, layer,
    seconds_ago,
};
use tokio::time::{Instant, sleep};

async fn a_captured_request_never_runs_again<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let captured = genuine().with_delivery_id("its own").sign();
    assert_eq!(server.send(&captured).await.status, 200);
    let text = client::text(&captured);
    let spelled = |from: &str, to: &str| {
        let text = String::from_utf8(text.clone()).unwrap();
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    };
    let tag = String::from_utf8_lossy(&text).split("sha256=").nth(1).unwrap()[..64].to_owned();
    for variant in [
        text.clone(),
        spelled("x-scrapest-delivery-id: its own", "x-scrapest-delivery-id: another"),
        spelled("x-scrapest-delivery-id: its own", "x-scrapest-delivery-id: "),
        spelled("x-scrapest-delivery-id: its own\r\n", ""),
        spelled("x-scrapest-delivery-id", "X-SCRAPEST-DELIVERY-ID"),
        spelled("x-scrapest-event: tweet.created", "x-scrapest-event: test"),
        spelled("x-scrapest-event: tweet.created\r\n", ""),
        spelled("user-agent: Scrapest-Webhook/1.0\r\n", ""),
        spelled("content-type: application/json", "content-type: text/plain"),
        spelled(&tag, &tag.to_uppercase()),
        spelled("x-scrapest-timestamp", "x-something-else"),
        spelled("HTTP/1.1\r\n", "HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\n"),
    ] {
        let answer = server.send_raw(&variant).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&variant));
    }
    eventually("one run", || handler.runs() == 1).await;
}

async fn a_captured_request_does_not_replace_a_genuine_one<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let captured = genuine().sign();
    assert_eq!(server.send(&captured).await.status, 200);
    let poison = captured.with_header("x-scrapest-delivery-id", "yet to come");
    assert_eq!(server.send(&poison).await.status, 200);
    assert_eq!(handler.runs(), 1);
    let coming = genuine().with_delivery_id("yet to come").with_kind("user.updated").sign();
    assert_eq!(server.send(&coming).await.status, 200);
    assert_eq!(handler.deliveries()[1].kind(), Some("user.updated"));
}

/// Sends the request every ten seconds for two hours, during which the memory store forgets it.
async fn is_useless_at_any_time<P: Provider>(layer: WebhookLayer<P>, captured: SignedRequest) {
    let handler = Handler::ok();
    let (wall, began) = (SystemTime::now(), Instant::now());
    let layer = layer.with_clock(move || wall + began.elapsed());
    let receiver = InProcess::new(&layer, handler.clone());
    let (mut duplicates, mut stale) = (0, 0);
    assert_eq!(receiver.status(&captured).await, 200);
    for id in 0..720 {
        let replay = captured.clone().with_header("x-scrapest-delivery-id", format!("{id}"));
        match (receiver.status(&captured).await, receiver.status(&replay).await) {
            (200, 200) => duplicates += 1,
            (401, 401) => stale += 1,
            answers => panic!("{answers:?} after {:?}", began.elapsed()),
        }
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(handler.runs(), 1);
    assert!(duplicates >= 10 && stale > 300, "{duplicates} duplicates, {stale} stale");
}

#[tokio::test(start_paused = true)]
async fn a_captured_request_never_runs_again_at_any_time() {
    // The signed time may be ahead of our clock. The request then stays fresh for longer.
    for ago in [0, 3_500, -299] {
        let request = genuine().with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(layer(), request).await;
        let badger = testing::scrapebadger(SECRET).with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(badger_layer(), badger).await;
    }
    for ago in [0, -299] {
        let request = genuine().with_signed_timestamp().with_time(seconds_ago(ago)).sign();
        is_useless_at_any_time(layer(), request).await;
    }
}

support::for_each_framework! {
    a_captured_request_never_runs_again,
    a_captured_request_does_not_replace_a_genuine_one,
}
