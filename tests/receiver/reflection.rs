//! Input is never echoed, except for a harmless challenge.

use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::testing;
use support::{Framework, Raw, SECRET};

use crate::handshake::{Challenged, FIELDS, body};

/// Values that must not be echoed, as they are written in JSON.
fn unspeakable() -> Vec<String> {
    let mut values: Vec<String> = [
        r#""""#,
        "null",
        "true",
        "1",
        "1.5",
        "[]",
        "{}",
        r#"["c"]"#,
        r#"{"challenge":"c"}"#,
        r#"{"value":"c"}"#,
        r#""\u0000""#,
        r#""a\nb""#,
        r#""a\r\nset-cookie: a=b""#,
        r#""a\tb""#,
        r#""\u001b[31m""#,
        r#""\u007f""#,
        r#""\u0080""#,
        r#""\u00e9""#,
        r#""é""#,
        r#""\u202e""#,
        r#""\ufeffc""#,
        r#""\ud83d\ude00""#,
        r#""\u2028""#,
        r#""ＡＢ""#,
    ]
    .map(str::to_owned)
    .into();
    values.extend([1_025, 10_240, 1_000_000].map(|length| format!("\"{}\"", "x".repeat(length))));
    values.push(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    values
}

async fn a_value_that_is_not_a_challenge_is_never_echoed<F: Framework>() {
    for provider in [Scrapest::default(), Scrapest::default().with_plain_challenge(true)] {
        let server = Challenged::serve::<F>(provider).await;
        let mut runs = 0;
        for field in FIELDS {
            for value in unspeakable() {
                for kind in ["", r#","event":"webhook.verification""#] {
                    let body = body(&format!(r#""{field}":{value}{kind}"#));
                    let answer = server.server.raw(&Raw::scrapest(body.clone())).await;
                    // It is an ordinary event: the handler receives it, and answers without a body.
                    assert_eq!((answer.status, answer.text()), (200, String::new()), "{body:.100}");
                    runs += 1;
                    assert_eq!(server.handler.runs(), runs, "{body:.100}");
                }
            }
        }
        // A challenge in the wrong place is not echoed either.
        for body in [
            body(r#""data":{"challenge":"c"}"#),
            body(r#""Challenge":"c""#),
            body(r#""challenge ":"c""#),
            body(r#""challenge":1,"token":"c""#),
            body(r#""challenge":"c","challenge":"d""#),
        ] {
            let answer = server.server.raw(&Raw::scrapest(body.clone())).await;
            assert_eq!((answer.status, answer.text()), (200, String::new()), "{body}");
            runs += 1;
            assert_eq!(server.handler.runs(), runs, "{body}");
        }
    }
}

async fn a_challenge_is_never_answered_as_html<F: Framework>() {
    for value in [
        "<script>alert(1)</script>",
        "<html><body onload=alert(1)>",
        "</script><svg/onload=1>",
        "javascript:1",
        "{{7*7}}",
    ] {
        for (plain, content_type, text) in [
            (false, "application/json", format!(r#"{{"challenge":"{value}"}}"#)),
            (true, "text/plain; charset=utf-8", value.to_owned()),
        ] {
            let server =
                Challenged::serve::<F>(Scrapest::default().with_plain_challenge(plain)).await;
            let request = Raw::scrapest(body(&format!(r#""challenge":"{value}""#)));
            let request = request.with("accept", "text/html").with("content-type", "text/html");
            let answer = server.is_answered(&request).await;
            assert_eq!((answer.header("content-type"), answer.text()), (Some(content_type), text));
        }
    }
}

async fn an_unsigned_challenge_is_answered_only_if_configured<F: Framework>() {
    let closed = Challenged::serve::<F>(Scrapest::default()).await;
    let open =
        Challenged::serve::<F>(Scrapest::default().with_insecure_unsigned_challenge(true)).await;
    let refused = closed.server.raw(&Raw::new(r#"{"challenge":"c"}"#)).await.without_date();
    assert_eq!(refused.status, 401);
    for body in [
        r#"{"challenge":"c"}"#,
        r#"{"challenge":"c","event":"webhook.verification"}"#,
        r#"{"challenge":"c","timestamp":0}"#,
    ] {
        let request = Raw::new(body);
        assert_eq!(closed.server.raw(&request).await.without_date(), refused);
        assert_eq!(open.is_answered(&request).await.text(), r#"{"challenge":"c"}"#);
        // A sender that signs must sign correctly.
        for signature in ["", "sha256=", &format!("sha256={}", "0".repeat(64))] {
            let request = request.clone().with("x-scrapest-signature", signature);
            assert_eq!(open.server.raw(&request).await.without_date(), refused);
        }
        let right: Raw = Raw::scrapest(body);
        let twice =
            right.clone().with("x-scrapest-signature", right.header("x-scrapest-signature"));
        assert_eq!(open.server.raw(&twice).await.without_date(), refused);
    }
    let mut bodies: Vec<String> =
        unspeakable().iter().map(|value| body(&format!(r#""challenge":{value}"#))).collect();
    let event = testing::scrapest(SECRET).sign();
    bodies.extend([
        String::new(),
        "{}".into(),
        "[]".into(),
        "{\"challenge\":\"c\"".into(),
        "\u{feff}{\"challenge\":\"c\"}".into(),
    ]);
    bodies.push(String::from_utf8(event.body().to_vec()).unwrap());
    bodies.push(body(r#""challenge":"c","event":"tweet.created""#));
    bodies.push("[".repeat(500_000));
    for body in bodies {
        let answer = open.server.raw(&Raw::new(body.clone())).await.without_date();
        assert_eq!(answer, refused, "{body:.100}");
    }
    assert!(open.handler.runs() == 0 && open.store.is_empty());
}

support::for_each_framework! {
    a_value_that_is_not_a_challenge_is_never_echoed,
    a_challenge_is_never_answered_as_html,
    an_unsigned_challenge_is_answered_only_if_configured,
}
