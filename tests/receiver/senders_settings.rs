//! Every name of Scrapest's is an assumption, and so a setting. Each setting has an effect and replaces the
//! default.

use scrapest_webhook::ConfigError;
use scrapest_webhook::scrapest::{Scrapest, SignedContent};
use support::{Framework, Handler, Raw, SECRET, Server, layer, nonce, signature};

async fn serve<F: Framework>(provider: Scrapest) -> (Server, Handler) {
    let handler = Handler::ok();
    (F::serve(layer().with_provider(provider), handler.clone()).await, handler)
}

fn now() -> String {
    time::OffsetDateTime::now_utc().unix_timestamp().to_string()
}

/// A new body each time, without the fields that its signature and freshness do not need.
fn body(rest: &str) -> String {
    format!(r#"{{"n":{},"timestamp":{}{rest}}}"#, nonce(), now())
}

async fn the_signature_header_is_a_setting<F: Framework>() {
    for name in ["x-hook-signature", "X-Hook-Signature", "x_hook.signature~1"] {
        let (server, handler) = serve::<F>(Scrapest::default().with_signature_header(name)).await;
        let body = body("");
        let signature = signature(SECRET, body.as_bytes());
        let default = Raw::scrapest(body.clone());
        assert_eq!(server.raw(&default).await.status, 401);
        let set = Raw::new(body).with(name, &signature);
        assert_eq!(server.raw(&set).await.status, 200);
        assert_eq!(server.raw(&set.clone().with(name, &signature)).await.status, 401, "one only");
        // The default header has no special meaning now.
        assert_eq!(server.raw(&set.with("x-scrapest-signature", "none")).await.status, 200);
        assert_eq!(handler.runs(), 1);
    }
}

async fn the_timestamp_header_is_a_setting<F: Framework>() {
    for name in ["x-hook-time", "X-Hook-Time", "date"] {
        let (server, handler) = serve::<F>(Scrapest::default().with_timestamp_header(name)).await;
        let undated = format!(r#"{{"n":{}}}"#, nonce());
        let signed = Raw::scrapest_at(now(), undated.clone());
        assert_eq!(server.raw(&signed).await.status, 401, "it is not looked for there");
        let time = signed.header("x-scrapest-timestamp");
        let set = signed.without("x-scrapest-timestamp").with(name, &time);
        assert_eq!(server.raw(&set).await.status, 200, "it is part of what is signed");
        let stale = Raw::scrapest(body("")).with(name, "1772625600");
        assert_eq!(server.raw(&stale).await.status, 401);
        let ignored = Raw::scrapest(body("")).with("x-scrapest-timestamp", "1772625600");
        assert_eq!(server.raw(&ignored).await.status, 200);
        assert_eq!(handler.runs(), 2);
    }
}

async fn the_signed_content_is_a_setting<F: Framework>() {
    for (content, expected) in [
        (None, [200, 200, 200, 401]),
        (Some(SignedContent::Either), [200, 200, 200, 401]),
        (Some(SignedContent::Body), [200, 200, 401, 401]),
        (Some(SignedContent::TimestampAndBody), [401, 401, 200, 401]),
    ] {
        let mut provider = Scrapest::default();
        if let Some(content) = content {
            provider = provider.with_signed_content(content);
        }
        let (server, handler) = serve::<F>(provider).await;
        let time = now();
        let joined = Raw::scrapest_at(&time, body(""));
        let requests = [
            Raw::scrapest(body("")),
            Raw::scrapest(body("")).with("x-scrapest-timestamp", &time),
            joined.clone(),
            // Signed with a time that is missing.
            joined.without("x-scrapest-timestamp"),
        ];
        for (place, (request, status)) in requests.iter().zip(expected).enumerate() {
            assert_eq!(server.raw(request).await.status, status, "{content:?}: {place}");
        }
        // The time is signed as it was sent, including the dot.
        let kept = Raw::scrapest_at(&time, body(""));
        for (name, value) in [
            ("x-scrapest-timestamp", format!("{time}000")),
            ("x-scrapest-timestamp", format!("0{time}")),
            ("x-scrapest-signature", signature(SECRET, &[time.as_bytes(), kept.body()].concat())),
            (
                "x-scrapest-signature",
                signature(SECRET, &[kept.body(), b".", time.as_bytes()].concat()),
            ),
            (
                "x-scrapest-signature",
                signature(SECRET, &[time.as_bytes(), b":", kept.body()].concat()),
            ),
        ] {
            let request = kept.clone().replacing(name, value);
            assert_eq!(server.raw(&request).await.status, 401, "{content:?}: {name}");
        }
        // The dot cannot be moved from one into the other either.
        let moved = format!("{time}.{}", String::from_utf8_lossy(kept.body()));
        let moved = Raw::scrapest(moved).with("x-scrapest-timestamp", &time);
        assert_eq!(server.raw(&moved).await.status, 401, "{content:?}");
        let runs = expected.iter().filter(|status| **status == 200).count();
        assert_eq!(handler.runs(), runs);
    }
}

async fn the_timestamp_field_is_a_setting<F: Framework>() {
    let (server, handler) = serve::<F>(Scrapest::default().with_timestamp_field("sent_at")).await;
    assert_eq!(server.raw(&Raw::scrapest(body(""))).await.status, 401);
    let set = |time: &str| format!(r#"{{"n":{},"timestamp":0,"sent_at":{time}}}"#, nonce());
    assert_eq!(server.raw(&Raw::scrapest(set(&now()))).await.status, 200);
    assert_eq!(server.raw(&Raw::scrapest(set("1772625600"))).await.status, 401);
    assert_eq!(handler.runs(), 1);
    assert!(handler.deliveries()[0].timestamp().is_some());
}

async fn the_header_and_fields_of_the_id_are_settings<F: Framework>() {
    let all = r#","delivery_id":"d","id":"i","uuid":"u","n_o":7"#;
    for (provider, in_header, expected) in [
        (Scrapest::default(), Some("x-scrapest-delivery-id"), "h"),
        (Scrapest::default(), Some("x-hook-id"), "d"),
        (Scrapest::default(), None, "d"),
        (Scrapest::default().with_delivery_id_header("X-Hook-Id"), Some("x-hook-id"), "h"),
        (
            Scrapest::default().with_delivery_id_header("x-hook-id"),
            Some("x-scrapest-delivery-id"),
            "d",
        ),
        (Scrapest::default().with_delivery_id_fields(["uuid", "id"]), None, "u"),
        (Scrapest::default().with_delivery_id_fields(["none", "n_o"]), None, "7"),
        (Scrapest::default().with_delivery_id_fields(["none", "none"]), None, ""),
    ] {
        let (server, handler) = serve::<F>(provider).await;
        let mut request = Raw::scrapest(body(all));
        if let Some(name) = in_header {
            request = request.with(name, "h");
        }
        assert_eq!(server.raw(&request).await.status, 200);
        let delivery = handler.deliveries().pop().unwrap();
        assert_eq!(delivery.id().unwrap_or_default(), expected);
        // This value identifies the delivery.
        assert_eq!(server.raw(&request_again(&request)).await.status, 200);
        assert_eq!(handler.runs(), if expected.is_empty() { 2 } else { 1 }, "{expected}");
    }
    // The first of the fields that exists counts.
    let (server, handler) = serve::<F>(Scrapest::default()).await;
    for (rest, expected) in [
        (r#","id":"i""#, "i"),
        (r#","delivery_id":null,"id":8"#, "8"),
        (r#","id":9007199254740993"#, "9007199254740993"),
        (r#","id":-9223372036854775808"#, "-9223372036854775808"),
        (r#","id":18446744073709551615"#, "18446744073709551615"),
    ] {
        assert_eq!(server.raw(&Raw::scrapest(body(rest))).await.status, 200);
        assert_eq!(handler.deliveries().pop().unwrap().id(), Some(expected));
    }
}

/// The same request with other bytes.
fn request_again(request: &Raw) -> Raw {
    let refreshed = [request.body().trim_ascii_end(), b" "].concat();
    let signature = signature(SECRET, &refreshed);
    request.clone().over(refreshed).replacing("x-scrapest-signature", signature)
}

async fn the_header_and_fields_of_the_kind_are_settings<F: Framework>() {
    let all = r#","event":"e","type":"t","topic":"o""#;
    for (provider, rest, header, expected) in [
        (Scrapest::default(), all, "x-scrapest-event", Some("e")),
        (Scrapest::default(), r#","type":"t","topic":"o""#, "x-scrapest-event", Some("t")),
        (Scrapest::default(), r#","event":null,"type":"t""#, "x-scrapest-event", Some("t")),
        (Scrapest::default(), r#","topic":"o""#, "x-scrapest-event", Some("h")),
        (Scrapest::default(), r#","topic":"o""#, "x-hook-event", None),
        (Scrapest::default().with_event_header("X-Hook-Event"), "", "x-hook-event", Some("h")),
        (Scrapest::default().with_event_header("x-hook-event"), "", "x-scrapest-event", None),
        (Scrapest::default().with_kind_fields(["topic", "event"]), all, "x", Some("o")),
        (Scrapest::default().with_kind_fields(["none", "topic"]), all, "x", Some("o")),
        (Scrapest::default().with_kind_fields(["none", "none"]), all, "x", None),
    ] {
        let (server, handler) = serve::<F>(provider).await;
        let request = Raw::scrapest(body(rest)).with(header, "h");
        assert_eq!(server.raw(&request).await.status, 200);
        assert_eq!(handler.deliveries()[0].kind(), expected, "{rest} {header}");
    }
}

async fn the_challenge_fields_are_settings<F: Framework>() {
    let set = ["nonce", "echo", "challenge"];
    let (server, handler) = serve::<F>(Scrapest::default().with_challenge_fields(set)).await;
    for field in set {
        let request = Raw::scrapest(body(&format!(r#","{field}":"c""#)));
        assert_eq!(server.raw(&request).await.text(), format!(r#"{{"{field}":"c"}}"#));
        assert_eq!(handler.runs(), 0);
    }
    // The first in the order of the settings, not of the body.
    let both = Raw::scrapest(body(r#","challenge":"3","echo":"2","nonce":"1""#));
    assert_eq!(server.raw(&both).await.text(), r#"{"nonce":"1"}"#);
    for (runs, field) in ["verification_token", "token"].into_iter().enumerate() {
        let request = Raw::scrapest(body(&format!(r#","{field}":"c""#)));
        assert_eq!(server.raw(&request).await.text(), "");
        assert_eq!(handler.runs(), runs + 1, "{field} is a field like any other now");
    }
    // With the kinds in the configured fields.
    let provider = Scrapest::default().with_kind_fields(["topic", "none"]);
    let (server, _) = serve::<F>(provider).await;
    for (rest, answer) in [
        (r#","challenge":"c","event":"tweet.created""#, r#"{"challenge":"c"}"#),
        (r#","challenge":"c","topic":"verification""#, r#"{"challenge":"c"}"#),
        (r#","challenge":"c","topic":"tweet.created""#, ""),
    ] {
        assert_eq!(server.raw(&Raw::scrapest(body(rest))).await.text(), answer, "{rest}");
    }
}

#[test]
fn an_invalid_header_name_is_a_configuration_error() {
    type Setter = fn(String) -> Scrapest;
    let headers: [(&str, Setter); 4] = [
        ("signature_header", |name| Scrapest::default().with_signature_header(name)),
        ("timestamp_header", |name| Scrapest::default().with_timestamp_header(name)),
        ("delivery_id_header", |name| Scrapest::default().with_delivery_id_header(name)),
        ("event_header", |name| Scrapest::default().with_event_header(name)),
    ];
    for (setting, with) in headers {
        let check = |name: &str| layer().with_provider(with(name.to_owned())).check();
        for name in ["", " ", "x y", "x:", "x\r\ny", "é", "x\0", "x\"", "(x)", "x/y"] {
            let error: ConfigError = check(name).unwrap_err();
            let text = format!("{setting}: is {name:?}, expected the name of a header");
            assert_eq!((error.setting(), error.to_string()), (setting, text));
        }
        assert!(check("X-Anything_That.Is~A!Token").is_ok());
    }
}

support::for_each_framework! {
    the_signature_header_is_a_setting,
    the_timestamp_header_is_a_setting,
    the_signed_content_is_a_setting,
    the_timestamp_field_is_a_setting,
    the_header_and_fields_of_the_id_are_settings,
    the_header_and_fields_of_the_kind_are_settings,
    the_challenge_fields_are_settings,
}
