//! The same signed bytes, captured and sent again by an attacker.

use std::sync::Arc;

use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{scrapebadger, scrapest};
use support::connection::Connection;
use support::{
    Framework, Handler, Raw, SECRET, Server, badger_layer, eventually, genuine, layer, nonce,
};
use tokio::sync::Semaphore;

/// Checks for a success that the handler did not write.
async fn is_duplicate(server: &Server, what: &str, request: &Raw) {
    let answer = server.raw(request).await;
    assert_eq!((answer.status, answer.text()), (200, String::new()), "{what}");
}

/// An id that is new in this process.
fn id() -> String {
    format!("id-{}", nonce())
}

async fn the_same_bytes_are_one_delivery_under_any_scrapest_label<F: Framework>() {
    let signed_time = || genuine().with_signed_timestamp().sign();
    for (run, captured) in [Raw::from(genuine().sign()), signed_time().into()].iter().enumerate() {
        let handler = Handler::ok();
        let server = F::serve(layer(), handler.clone()).await;
        assert_eq!(server.raw(captured).await.status, 200);
        let name = "x-scrapest-delivery-id";
        let (signature, hex) = ("x-scrapest-signature", captured.header("x-scrapest-signature"));
        let mut replays = vec![
            ("as it was", captured.clone()),
            ("under a new id", captured.clone().replacing(name, id())),
            ("under no id", captured.clone().without(name)),
            ("under an empty id", captured.clone().replacing(name, "")),
            ("under two ids", captured.clone().with(name, id())),
            ("under two new ids", captured.clone().replacing(name, id()).with(name, id())),
            (
                "under an id that differs in case",
                captured.clone().replacing(name, captured.header(name).to_uppercase()),
            ),
            (
                "of another kind",
                captured.clone().replacing(name, id()).replacing("x-scrapest-event", "test"),
            ),
            ("of no kind", captured.clone().replacing(name, id()).without("x-scrapest-event")),
            ("with nothing but its signature", Raw::scrapest(captured.body())),
            (
                "with its names in capitals",
                captured.clone().replacing(name, id()).spelled(str::to_uppercase),
            ),
            (
                "with its names in title case",
                captured.clone().replacing(name, id()).spelled(title_case),
            ),
            (
                "with its tag in capitals",
                captured
                    .clone()
                    .replacing(name, id())
                    .replacing(signature, format!("sha256={}", hex[7..].to_uppercase())),
            ),
            (
                "as another type",
                captured.clone().replacing(name, id()).replacing("content-type", "text/plain"),
            ),
            (
                "with headers of its own",
                captured.clone().replacing(name, id()).with("x-forwarded-for", "10.0.0.1"),
            ),
            (
                "with the other sender's headers",
                captured.clone().replacing(name, id()).with("x-delivery-id", id()),
            ),
        ];
        if run == 1 {
            // With a signature of the body alone it is a different request, which only the sender can make.
            replays.retain(|(what, _)| *what != "with nothing but its signature");
        } else {
            let time = captured.header("x-scrapest-timestamp").parse::<i64>().unwrap() + 1;
            let redated = captured
                .clone()
                .replacing(name, id())
                .replacing("x-scrapest-timestamp", time.to_string());
            replays.push(("dated anew", redated));
            replays.push((
                "undated",
                captured.clone().replacing(name, id()).without("x-scrapest-timestamp"),
            ));
        }
        for (what, replay) in &replays {
            is_duplicate(&server, what, replay).await;
        }
        // Also on one connection that stays open.
        let (_, replay) = &replays[1];
        let mut connection = Connection::to(&server).await;
        connection.write(&[replay.text_kept_alive(), captured.text()].concat()).await;
        for _ in 0..2 {
            let answer = connection.answer().await.unwrap();
            assert_eq!((answer.status, answer.text()), (200, String::new()));
        }
        assert_eq!(handler.runs(), 1);
    }
}

fn title_case(name: &str) -> String {
    let mut after = '-';
    let spell = |char: char| match std::mem::replace(&mut after, char) {
        '-' => char.to_ascii_uppercase(),
        _ => char,
    };
    name.chars().map(spell).collect()
}

async fn the_same_bytes_are_one_delivery_with_either_scrapebadger_contract<F: Framework>() {
    let headers = [
        ("x-scrapebadger-signature", "x-scrapebadger-delivery-id"),
        ("x-signature-256", "x-delivery-id"),
    ];
    for first in [0, 1] {
        let captured: Raw = match first {
            0 => testing::scrapebadger(SECRET).sign().into(),
            _ => testing::scrapebadger_contract_2(SECRET).sign().into(),
        };
        let handler = Handler::ok();
        let server = F::serve(badger_layer(), handler.clone()).await;
        assert_eq!(server.raw(&captured).await.status, 200);
        let signature = captured.header(headers[first].0);
        let bare = captured.clone().without(headers[first].0).without(headers[first].1);
        for (name, _) in headers {
            let signed = bare.clone().with(name, &signature);
            is_duplicate(&server, "without an id", &signed).await;
            for (_, id_name) in headers {
                is_duplicate(&server, "under a new id", &signed.clone().with(id_name, id())).await;
                let test =
                    signed.clone().with(id_name, id()).replacing("x-scrapebadger-event", "test");
                is_duplicate(&server, "as a test", &test).await;
            }
            let both = signed.with(headers[0].1, id()).with(headers[1].1, id());
            is_duplicate(&server, "under two ids", &both).await;
            is_duplicate(&server, "in capitals", &both.spelled(str::to_uppercase)).await;
        }
        assert_eq!(handler.runs(), 1);
    }
}

/// A captured request, and a future genuine one of the same sender.
fn pairs() -> [(Raw, SignedRequest); 3] {
    let scrapest = || testing::scrapest(SECRET);
    let (badger, badger_2) = (testing::scrapebadger, testing::scrapebadger_contract_2);
    // In ScrapeBadger's samples only the time differs.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    [
        (scrapest().sign().into(), scrapest().sign()),
        (badger(SECRET).sign().into(), badger(SECRET).with_time(later).sign()),
        (badger_2(SECRET).sign().into(), badger_2(SECRET).with_time(later).sign()),
    ]
}

/// The captured request under the id of the other one.
fn under_the_id_of(other: &SignedRequest, captured: &Raw) -> Raw {
    let (name, id) = other.headers().find(|(name, _)| name.ends_with("delivery-id")).unwrap();
    captured.clone().replacing(name, id)
}

async fn serve_sender_of<F: Framework>(request: &SignedRequest, handler: &Handler) -> Server {
    match request.headers().any(|(name, _)| name == "x-scrapest-signature") {
        true => F::serve(layer(), handler.clone()).await,
        false => F::serve(badger_layer(), handler.clone()).await,
    }
}

async fn a_captured_body_cannot_use_up_the_id_of_a_later_delivery<F: Framework>() {
    for (captured, to_come) in pairs() {
        let handler = Handler::ok();
        let server = serve_sender_of::<F>(&to_come, &handler).await;
        assert_eq!(server.raw(&captured).await.status, 200);
        is_duplicate(&server, "replay", &under_the_id_of(&to_come, &captured)).await;
        is_duplicate(&server, "replay again", &under_the_id_of(&to_come, &captured)).await;
        assert_eq!(handler.runs(), 1);

        assert_eq!(server.send(&to_come).await.status, 200);
        assert_eq!(handler.deliveries().last().unwrap().body(), to_come.body(), "it ran");
        is_duplicate(&server, "its own retry", &to_come.into()).await;
        assert_eq!(handler.runs(), 2);
    }
}

async fn a_captured_body_cannot_use_up_an_id_while_it_runs<F: Framework>() {
    for (captured, to_come) in pairs() {
        let gate = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&gate);
        let handler = Handler::new(move |_, before| {
            let held = Arc::clone(&held);
            async move {
                if before == 0 {
                    held.acquire().await.unwrap().forget();
                }
                200
            }
        });
        let server = serve_sender_of::<F>(&to_come, &handler).await;
        let replay = under_the_id_of(&to_come, &captured);
        let first = server.raw(&captured);
        let rest = async {
            eventually("the first to run", || handler.runs() == 1).await;
            let replay = is_duplicate(&server, "replay", &replay);
            let to_come = async {
                assert_eq!(server.send(&to_come).await.status, 200);
                assert_eq!(handler.runs(), 2, "the genuine one waits for nobody");
                gate.add_permits(1);
            };
            tokio::join!(replay, to_come);
        };
        assert_eq!(tokio::join!(first, rest).0.status, 200);
        assert_eq!(handler.runs(), 2);
    }
}

async fn a_captured_test_event_cannot_use_up_the_id_of_a_later_delivery<F: Framework>() {
    let badger = || testing::scrapebadger(SECRET);
    for test in [badger().with_kind("test").sign(), badger().with_body(r#"{"type":"test"}"#).sign()]
    {
        let (handler, to_come) = (Handler::ok(), badger().sign());
        let server = F::serve(badger_layer(), handler.clone()).await;
        let test = Raw::from(test);
        for _ in 0..2 {
            assert_eq!(server.raw(&test).await.status, 200);
            assert_eq!(server.raw(&under_the_id_of(&to_come, &test)).await.status, 200);
        }
        let runs = handler.runs();
        assert_eq!(server.send(&to_come).await.status, 200);
        assert_eq!(handler.runs(), runs + 1);
        assert_eq!(handler.deliveries().last().unwrap().kind(), Some("tweet"));
    }
}

async fn the_kind_is_read_from_the_signed_body<F: Framework>() {
    let handler = Handler::ok();
    let badger = F::serve(badger_layer(), handler.clone()).await;
    let tweet: Raw = testing::scrapebadger(SECRET).sign().into();
    let test: Raw = testing::scrapebadger(SECRET).with_kind("test").sign().into();
    let called =
        |request: &Raw, kind: &str| request.clone().replacing("x-scrapebadger-event", kind);
    assert_eq!(badger.raw(&called(&tweet, "test")).await.status, 200);
    assert_eq!(badger.raw(&called(&test, "tweet")).await.status, 200);
    let events: Vec<_> =
        handler.deliveries().iter().map(|d| scrapebadger::Event::try_from(d).unwrap()).collect();
    assert!(matches!(&events[..], [scrapebadger::Event::Tweet(_), scrapebadger::Event::Test(_)]));
    // A header does not turn a tweet into a test: it is exempt neither from freshness nor from its tag.
    let undated = Raw::badger(r#"{"type":"tweet","tweet":{"id":"1"}}"#);
    assert_eq!(badger.raw(&called(&undated, "test")).await.status, 401);
    is_duplicate(
        &badger,
        "not a test",
        &called(&tweet, "test").replacing("x-scrapebadger-delivery-id", id()),
    )
    .await;

    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign().with_header("x-scrapest-event", "webhook.verification");
    assert_eq!(server.send(&request).await.status, 200);
    let delivery = &handler.deliveries()[0];
    assert_eq!(delivery.kind(), Some("tweet.created"));
    assert!(matches!(scrapest::Event::try_from(delivery), Ok(scrapest::Event::TweetCreated(_))));
}

support::for_each_framework! {
    the_same_bytes_are_one_delivery_under_any_scrapest_label,
    the_same_bytes_are_one_delivery_with_either_scrapebadger_contract,
    a_captured_body_cannot_use_up_the_id_of_a_later_delivery,
    a_captured_body_cannot_use_up_an_id_while_it_runs,
    a_captured_test_event_cannot_use_up_the_id_of_a_later_delivery,
    the_kind_is_read_from_the_signed_body,
}
