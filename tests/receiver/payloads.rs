//! Unexpected JSON with a valid signature: large, deep, odd, broken, or of a new kind.

use scrapest_webhook::{EventErrorKind, scrapebadger, scrapest};
use support::{Framework, Raw};

use crate::json::{Typed, deep, event};

/// JSON that is large, deep or odd.
fn odd() -> Vec<(&'static str, String)> {
    vec![
        ("100,000 brackets", deep("[", "]", 100_000)),
        ("10,000 objects", deep("{\"a\":[", "]}", 10_000)),
        ("100 kB of zeros", format!("[{}0]", "0,".repeat(50_000))),
        ("1e400", "1e400".into()),
        ("-1e400", "-1e400".into()),
        ("1e-400", "1e-400".into()),
        ("100,000 digits", "9".repeat(100_000)),
        ("100,000 decimals", format!("0.{}", "9".repeat(100_000))),
        ("a large exponent", format!("1e{}", "9".repeat(100_000))),
        ("2^64", "18446744073709551616".into()),
        ("a lone surrogate", r#""\ud800""#.into()),
        ("100 kB of text", format!("\"{}\"", "x".repeat(100_000))),
        ("20,000 escapes", format!("\"{}\"", "\\u0041".repeat(20_000))),
        ("a long key", format!("{{\"{}\":1}}", "k".repeat(100_000))),
        (
            "many keys",
            format!("{{{}\"k\":1}}", (0..9_000).map(|n| format!("\"{n}\":1,")).collect::<String>()),
        ),
        ("one key many times", format!("{{{}\"k\":1}}", "\"k\":1,".repeat(15_000))),
    ]
}

async fn unread_fields_may_have_any_value<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for (what, value) in odd() {
        let kept = format!(r#","unread":{value}"#);
        for body in [
            event("some.kind", &kept),
            event("tweet.created", &format!(r#","data":{{"id":"1"}}{kept}"#)),
            event("tweet.created", &format!(r#","data":{{"id":"1"{kept}}}"#)),
        ] {
            assert_eq!(typed.status(&Raw::scrapest(body)).await, 200, "{what}");
        }
        for body in [
            event("some.kind", &kept),
            event("tweet.detected", &format!(r#","tweet_data":{{"id":"1"{kept}}}"#)),
            event("test", &kept),
        ] {
            assert_eq!(typed.status(&Raw::badger_2(body)).await, 200, "{what}");
        }
        // Also while another fault is located.
        let broken = event("tweet.created", &format!(r#","data":{{"id":"1","text":1}}{kept}"#));
        assert_eq!(typed.status(&Raw::scrapest(broken)).await, 422, "{what}");
    }
}

async fn an_odd_field_value_is_read_correctly_or_refused<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for (what, value) in odd() {
        let is_text = value.starts_with('"');
        for (field, fits) in [
            (r#""id":"1","text":"#, is_text),
            (r#""id":"#, is_text),
            (r#""id":"1","created_at":"#, true),
            (r#""id":"1","favorite_count":"#, true),
            (r#""id":"1","lang":"#, is_text),
            (r#""id":"1","user":"#, false),
        ] {
            // An object without the relevant fields is accepted as a user.
            let fits = fits || (field.ends_with("user\":") && value.starts_with('{'));
            let status = if fits { 200 } else { 422 };
            let body = event("tweet.created", &format!(r#","data":{{{field}{value}}}"#));
            assert_eq!(typed.status(&Raw::scrapest(body)).await, status, "{field}: {what}");
            // This sender has no such field.
            if !field.contains("lang") {
                let body = event("tweet.detected", &format!(r#","tweet_data":{{{field}{value}}}"#));
                assert_eq!(typed.status(&Raw::badger(body)).await, status, "{field}: {what}");
            }
        }
        // Some fields are kept as raw JSON if the parser accepts them; others must be objects.
        let whole = value.replace("ud800", "ufffd");
        let readable = serde_json::from_str::<serde_json::Value>(&whole).is_ok();
        let object = value.starts_with('{');
        let scrapest: fn(String) -> Raw = |body| Raw::scrapest(body);
        let badger: fn(String) -> Raw = |body| Raw::badger(body);
        for (sign, kind, before, after, fits) in [
            (scrapest, "tweet.created", r#","data":{"id":"1","entities":"#, "}", readable),
            (scrapest, "tweet.created", r#","data":{"id":"1","media":["#, "]}", readable),
            (badger, "tweet.detected", r#","tweet":{"id":"1","media":["#, "]}", readable),
            (badger, "tweet.detected", r#","tweet":"#, "", false),
            (scrapest, "tweet.created", r#","data":"#, "", false),
            (scrapest, "webhook.verified", r#","data":"#, "", object),
        ] {
            let status = typed.status(&sign(event(kind, &format!("{before}{value}{after}")))).await;
            assert_eq!(status, if fits { 200 } else { 422 }, "{kind}{before}{what}");
        }
    }
}

async fn a_known_kind_with_a_broken_payload_is_refused_and_may_be_retried<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    let tweet = ["tweet.created", "tweet.updated"];
    let mut bodies = Vec::new();
    for (kinds, data, path) in [
        (&tweet[..], "", "data: missing field"),
        (&tweet, r#","data":null"#, "data: missing field"),
        (&tweet, r#","data":[]"#, "data: invalid type"),
        (&tweet, r#","data":["1"]"#, "data: invalid type"),
        (&tweet, r#","data":"1""#, "data: invalid type"),
        (&tweet, r#","data":{}"#, "data.id: missing field"),
        (&tweet, r#","data":{"id":null}"#, "data.id: missing field"),
        (&tweet, r#","data":{"id":1.5}"#, "data.id: invalid type"),
        (&tweet, r#","data":{"id":true}"#, "data.id: invalid type"),
        (&tweet, r#","data":{"id":{}}"#, "data.id: invalid type"),
        (&tweet, r#","data":{"id":"1","id":"2"}"#, "data: duplicate field"),
        (&tweet, r#","data":{"tweet":{}}"#, "data.tweet.id: missing field"),
        (&tweet, r#","data":{"tweet":[],"id":"1"}"#, "data.tweet: invalid type"),
        (&tweet, r#","data":{"id":"1","text":1}"#, "data.text: invalid type"),
        (&tweet, r#","data":{"id":"1","user":"x"}"#, "data.user: invalid type"),
        (&tweet, r#","data":{"id":"1","author":{"id":1.5}}"#, "data.author.id: invalid type"),
        (&tweet, r#","data":{"id":"1"},"data":{"id":"2"}"#, "body: duplicate field"),
        (&tweet, r#","data":{"id":"1"},"webhook_id":[]"#, "webhook_id: invalid type"),
        (&["user.updated"], "", "data: missing field"),
        (&["user.updated"], r#","data":{"username":"x"}"#, "data.id: missing field"),
        (&["user.updated"], r#","data":{"user":{"id":1.0}}"#, "data.user.id: invalid type"),
        (&["webhook.verified", "webhook.delivery_failed"], r#","data":[]"#, "data: invalid type"),
    ] {
        bodies.extend(kinds.iter().map(|kind| (Raw::scrapest(event(kind, data)), path)));
    }
    for (data, path) in [
        ("", "tweet or tweet_data: missing field"),
        (r#","tweet":null,"tweet_data":null"#, "tweet or tweet_data: missing field"),
        (r#","tweet":{}"#, "tweet.id: missing field"),
        (r#","tweet_data":{}"#, "tweet_data.id: missing field"),
        (r#","tweet":[]"#, "tweet: invalid type"),
        (r#","tweet":{"id":1.5}"#, "tweet.id: invalid type"),
        (r#","tweet":{"id":"1","media":{}}"#, "tweet.media: invalid type"),
        (r#","tweet":{"id":"1"},"monitor_id":1.5"#, "monitor_id: invalid type"),
    ] {
        for kind in ["tweet", "tweet.detected"] {
            bodies.push((Raw::badger(event(kind, data)), path));
            bodies.push((Raw::badger_2(event(kind, data)), path));
        }
    }
    for (request, path) in bodies {
        // The claim is released, so that a corrected receiver gets the event.
        for attempt in [1, 2] {
            let text = String::from_utf8_lossy(request.body()).into_owned();
            assert_eq!(typed.status(&request).await, 422, "{text}");
            let deliveries = typed.handler.deliveries();
            let delivery = deliveries.iter().rev().find(|d| d.body() == request.body()).unwrap();
            assert_eq!(delivery.attempt(), attempt, "{text}");
            let error = match delivery.sender() {
                "scrapest" => scrapest::Event::try_from(delivery).unwrap_err(),
                _ => scrapebadger::Event::try_from(delivery).unwrap_err(),
            };
            assert_eq!(error.kind(), EventErrorKind::Payload);
            assert!(error.to_string().starts_with(path), "{error} for {text}");
        }
    }
}

async fn an_unknown_kind_is_passed_on_as_received<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for kind in [
        "mention.created",
        "tweet.deleted",
        "tweet.created ",
        "Tweet.Created",
        "",
        "\\u0000",
        "\\u001b[31m",
        "é",
    ] {
        for data in [
            "",
            r#","data":{"tweet":{"id":"1"}}"#,
            r#","data":9007199254740993.0e5"#,
            r#","data":"#,
        ] {
            // However odd the data is, it is not decoded.
            let data = if data.ends_with(':') {
                format!("{data}{}", deep("[", "]", 200))
            } else {
                data.into()
            };
            for (request, is_scrapest) in [
                (Raw::scrapest(event(kind, &data)), true),
                (Raw::badger(event(kind, &data)), false),
            ] {
                assert_eq!(typed.status(&request).await, 200, "{kind}");
                let deliveries = typed.handler.deliveries();
                let delivery =
                    deliveries.iter().rev().find(|d| d.body() == request.body()).unwrap();
                let written: String = serde_json::from_str(&format!("\"{kind}\"")).unwrap();
                let unknown = match is_scrapest {
                    true => match scrapest::Event::try_from(delivery).unwrap() {
                        scrapest::Event::Unknown(unknown) => unknown,
                        other => panic!("{other:?}"),
                    },
                    false => match scrapebadger::Event::try_from(delivery).unwrap() {
                        scrapebadger::Event::Unknown(unknown) => unknown,
                        other => panic!("{other:?}"),
                    },
                };
                assert_eq!((unknown.kind, &unknown.raw[..]), (Some(written), request.body()));
            }
        }
    }
}

support::for_each_framework! {
    unread_fields_may_have_any_value,
    an_odd_field_value_is_read_correctly_or_refused,
    a_known_kind_with_a_broken_payload_is_refused_and_may_be_retried,
    an_unknown_kind_is_passed_on_as_received,
}
