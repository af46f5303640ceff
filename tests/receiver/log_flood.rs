//! How little an unauthenticated client, or one that replays captured requests, can write to the log above
//! DEBUG.

use futures_util::future::join_all;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{ScrapestWebhookLayer, Secrets, Webhook};
use support::here::Here;
use support::logged::Logged;
use support::{Handler, SECRET, genuine, layer, seconds_ago};
use tracing::Level;

/// How often each request is sent within one minute.
const TIMES: usize = 100;

/// Text sent by such a client. No line above DEBUG may contain it.
const STRANGER: &str = "written by a stranger";

const SIGNATURE: &str = "x-scrapest-signature";

/// Part of the line about a body that a proxy has changed.
const LENGTH: &str = "differs from its content-length";

/// One request per way to be refused before the signature is verified.
fn unauthenticated() -> Vec<SignedRequest> {
    let forged = || {
        let request = testing::scrapest("another secret of some length").with_kind(STRANGER);
        let request = request.with_delivery_id(STRANGER).sign();
        request.with_header("user-agent", STRANGER).with_header("x-webhook-id", STRANGER)
    };
    vec![
        forged(),
        forged().with_header(SIGNATURE, ""),
        forged().with_header(SIGNATURE, STRANGER),
        forged().with_header("content-encoding", STRANGER),
        forged().with_header("content-length", STRANGER),
        forged().with_header("content-length", "999999999"),
        forged().with_header("content-length", "99999"),
        forged().with_header("x-forwarded-for", STRANGER).with_header("forwarded", STRANGER),
        forged().with_body(STRANGER),
        forged().with_body(""),
        forged().with_body(vec![b'x'; 2_000_000]),
    ]
}

type Settings = (&'static str, fn() -> ScrapestWebhookLayer, &'static [&'static str]);

/// Each setting with the lines that it may cause, once each.
const SETTINGS: [Settings; 4] = [
    ("one secret", layer, &["none has matched so far", LENGTH]),
    (
        "many webhooks",
        || {
            let secrets = || Secrets::new([SECRET]).unwrap();
            let known = Webhook::new("known", secrets());
            ScrapestWebhookLayer::for_webhooks(move |request| {
                (request.path() == "/known").then(|| known.clone())
            })
        },
        &["for_webhooks", LENGTH],
    ),
    (
        "an allow-list",
        || layer().with_allowed_ips(["192.0.2.1"]).unwrap(),
        &["the client's address"],
    ),
    (
        "a limit on failures",
        || layer().with_failed_auth_limit(10),
        &["the client's address", "none has matched so far", LENGTH],
    ),
];

#[tokio::test(start_paused = true)]
async fn an_unauthenticated_client_causes_one_line_per_minute_and_kind() {
    for (settings, layer, expected) in SETTINGS {
        for here in Here::BOTH {
            let (logged, _guard) = Logged::begin();
            let receiver = here.serve(layer(), &Handler::ok()).await;
            for request in unauthenticated() {
                for _ in 0..TIMES {
                    assert!(receiver.status(&request).await >= 400);
                }
            }
            let said: Vec<_> =
                logged.warnings().iter().map(|line| line.message().to_owned()).collect();
            // A request of actix's own test client always has the correct length.
            let can_be_wrong = |part: &&&str| matches!(here, Here::Axum) || **part != LENGTH;
            let expected: Vec<_> = expected.iter().filter(can_be_wrong).collect();
            let told = |part: &&&str| said.iter().filter(|line| line.contains(**part)).count() == 1;
            assert!(expected.iter().all(told), "{settings}, {here:?}: {said:?}");
            assert_eq!(said.len(), expected.len(), "{settings}, {here:?}: {said:?}");
            let text = logged.text(Level::INFO);
            assert!(!text.contains(STRANGER), "{settings}, {here:?}: {text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_captured_request_causes_ten_lines_per_minute_and_kind() {
    let now = genuine().sign();
    let captured = [
        ("no timestamp", genuine().with_body(r#"{"event":"tweet.created"}"#).sign(), 10),
        ("too old", genuine().with_time(seconds_ago(7_200)).sign(), 10),
        ("completed", now.clone(), 0),
    ];
    for here in Here::BOTH {
        for (what, request, most) in &captured {
            let (logged, _guard) = Logged::begin();
            let receiver = here.serve(layer(), &Handler::ok()).await;
            for _ in 0..TIMES {
                receiver.status(request).await;
            }
            assert_eq!(logged.warnings().len(), *most, "{what}, {here:?}");
        }
        let (logged, _guard) = Logged::begin();
        let receiver = here.serve(layer(), &Handler::new(|_, _| std::future::pending())).await;
        join_all((0..TIMES).map(|_| receiver.status(&now))).await;
        let of = |reason| {
            let lines = logged.warnings();
            lines
                .iter()
                .filter(|line| line.fields.get("reason").is_some_and(|is| is == reason))
                .count()
        };
        assert_eq!(of("too_many_waiting") + of("in_progress"), 10, "{here:?}");
        assert_eq!(of("answer_deadline"), 1, "{here:?}");
    }
}
