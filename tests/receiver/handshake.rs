//! Challenges: genuine ones are answered, and none can bypass the claim.

use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::{MemoryStore, testing};
use support::{
    Answer, Framework, Handler, Raw, SECRET, Server, badger_layer, layer, nonce, seconds_ago,
};

pub const FIELDS: [&str; 3] = ["challenge", "verification_token", "token"];
const KINDS: [&str; 4] =
    ["webhook.verification", "webhook.verify", "verification", "url_verification"];

pub struct Challenged {
    pub server: Server,
    pub handler: Handler,
    pub store: MemoryStore,
}

impl Challenged {
    pub async fn serve<F: Framework>(provider: Scrapest) -> Self {
        let (handler, store) = (Handler::ok(), MemoryStore::new());
        let layer = layer().with_provider(provider).with_store(store.clone());
        let server = F::serve(layer, handler.clone()).await;
        Self { server, handler, store }
    }

    /// Checks that the layer answers without a call to the handler or the store.
    pub async fn is_answered(&self, request: &Raw) -> Answer {
        let answer = self.server.raw(request).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(request.body()));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(self.handler.runs() == 0 && self.store.is_empty());
        answer
    }
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// `{"n": …, "timestamp": …, <rest>}`, new each time.
pub fn body(rest: &str) -> String {
    format!(r#"{{"n":{},"timestamp":{},{rest}}}"#, nonce(), now())
}

async fn a_challenge_is_answered_in_the_field_it_came_in<F: Framework>() {
    let json = Challenged::serve::<F>(Scrapest::default()).await;
    let plain = Challenged::serve::<F>(Scrapest::default().with_plain_challenge(true)).await;
    for value in
        ["c", "c7c1e0a2f5d94b3a8e6d", "with \"quotes\" and \\ and blanks ", &"x".repeat(1_024)]
    {
        let written = serde_json::to_string(value).unwrap();
        for field in FIELDS {
            let mut bodies = vec![format!(r#""{field}":{written}"#)];
            for kind in KINDS {
                bodies.push(format!(r#""{field}":{written},"event":"{kind}""#));
                bodies.push(format!(r#""type":"{kind}","{field}":{written}"#));
            }
            // Every character may be escaped.
            bodies.push(format!(
                r#""{}\u{:04x}":{written}"#,
                &field[..field.len() - 1],
                field.as_bytes()[field.len() - 1]
            ));
            for rest in bodies {
                // Sent twice: a challenge is not a delivery, so it has no duplicates.
                let request =
                    Raw::scrapest(body(&rest)).with("x-scrapest-delivery-id", "one id for all");
                for _ in 0..2 {
                    let answer = json.is_answered(&request).await;
                    assert_eq!(answer.header("content-type"), Some("application/json"));
                    assert_eq!(answer.text(), format!("{{\"{field}\":{written}}}"), "{rest}");
                    let answer = plain.is_answered(&request).await;
                    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                    assert_eq!(answer.text(), value, "{rest}");
                }
            }
        }
    }
}

async fn a_challenge_needs_only_a_signature_and_must_not_be_stale<F: Framework>() {
    let server = Challenged::serve::<F>(Scrapest::default()).await;
    let undated = r#"{"challenge":"c"}"#;
    server.is_answered(&Raw::scrapest(undated)).await;
    server.is_answered(&Raw::scrapest(r#"{"challenge":"c","timestamp":null}"#)).await;
    server
        .is_answered(&Raw::scrapest(undated).with("x-scrapest-timestamp", now().to_string()))
        .await;
    server.is_answered(&Raw::scrapest_at(now().to_string(), undated)).await;
    for request in [
        Raw::scrapest(r#"{"challenge":"c","timestamp":1772625600}"#),
        Raw::scrapest(r#"{"challenge":"c","timestamp":"soon"}"#),
        Raw::scrapest(undated).with("x-scrapest-timestamp", "1772625600"),
        Raw::scrapest(undated).with("x-scrapest-timestamp", ""),
        Raw::scrapest_at("1772625600", undated),
        testing::scrapest(SECRET)
            .with_kind("webhook.verification")
            .with_time(seconds_ago(3_700))
            .sign()
            .into(),
        Raw::new(undated),
        Raw::scrapest(undated).over(r#"{"challenge":"d"}"#),
        Raw::new(undated).with("x-scrapest-signature", ""),
        testing::scrapest("whsec_another_7b1d5f0c93aa4e21")
            .with_kind("webhook.verification")
            .sign()
            .into(),
    ] {
        let answer = server.server.raw(&request).await;
        assert_eq!((answer.status, answer.text()), (401, "unauthorized".into()));
    }
    assert!(server.handler.runs() == 0 && server.store.is_empty());
}

async fn the_header_may_name_the_kind_of_a_challenge_without_one<F: Framework>() {
    let server = Challenged::serve::<F>(Scrapest::default()).await;
    for kind in KINDS {
        let request = Raw::scrapest(body(r#""challenge":"c""#)).with("x-scrapest-event", kind);
        server.is_answered(&request).await;
        let request = Raw::scrapest(body(&format!(r#""challenge":"c","event":"{kind}""#)));
        server.is_answered(&request.with("x-scrapest-event", "tweet.created")).await;
    }
}

async fn an_event_that_contains_a_challenge_is_an_event<F: Framework>() {
    let kinds = [
        "tweet.created",
        "webhook.verified",
        "webhook.verification ",
        "Webhook.Verification",
        "",
        "test",
    ];
    let provider = || Scrapest::default().with_insecure_unsigned_challenge(true);
    for provider in [Scrapest::default(), provider(), provider().with_plain_challenge(true)] {
        let server = Challenged::serve::<F>(provider).await;
        for (runs, kind) in kinds.into_iter().enumerate() {
            let request =
                Raw::scrapest(body(&format!(r#""challenge":"c","token":"t","event":"{kind}""#)));
            // A header does not turn it into a challenge, so its repetition is a duplicate.
            let request = request.with("x-scrapest-event", "webhook.verification");
            for _ in 0..2 {
                let answer = server.server.raw(&request).await;
                assert_eq!((answer.status, answer.text()), (200, String::new()));
                assert_eq!(server.handler.runs(), runs + 1, "{kind}");
            }
            assert_eq!(server.handler.deliveries().pop().unwrap().kind(), Some(kind));
            let unsigned = request.without("x-scrapest-signature");
            assert_eq!(server.server.raw(&unsigned).await.status, 401, "{kind}");
        }
        assert_eq!(server.store.len(), kinds.len(), "each was claimed");
    }
    // ScrapeBadger has no challenges.
    let handler = Handler::ok();
    let server = F::serve(badger_layer(), handler.clone()).await;
    let body =
        format!(r#"{{"type":"webhook.verification","challenge":"c","detected_at":{}}}"#, now());
    let answer = server.raw(&Raw::badger(body)).await;
    assert_eq!((answer.status, answer.text(), handler.runs()), (200, String::new(), 1));
}

async fn an_event_whose_kind_is_not_text_is_not_a_challenge<F: Framework>() {
    let server = Challenged::serve::<F>(Scrapest::default()).await;
    for (runs, kind) in [
        r#""event":{"name":"tweet.created"}"#,
        r#""event":["tweet.created"]"#,
        r#""event":1"#,
        r#""event":true"#,
        r#""type":{"name":"tweet.created"}"#,
        r#""event":"verification","type":1"#,
        r#""event":"tweet.created","event":"tweet.created""#,
        r#""event":"verification","event":"tweet.created""#,
    ]
    .into_iter()
    .enumerate()
    {
        let request = Raw::scrapest(body(&format!(r#"{kind},"token":"t""#)));
        let answer = server.server.raw(&request).await;
        assert_eq!((answer.status, answer.text()), (200, String::new()), "{kind}");
        assert_eq!(server.handler.runs(), runs + 1, "{kind}");
    }
}

support::for_each_framework! {
    a_challenge_is_answered_in_the_field_it_came_in,
    a_challenge_needs_only_a_signature_and_must_not_be_stale,
    the_header_may_name_the_kind_of_a_challenge_without_one,
    an_event_that_contains_a_challenge_is_an_event,
    an_event_whose_kind_is_not_text_is_not_a_challenge,
}
