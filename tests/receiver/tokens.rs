//! A sender that signs nothing and sends a shared token.

use scrapest_webhook::{ScrapestWebhookLayer, Secrets, TokenIn, scrapest};
use support::{Answer, Framework, Handler, PATH, Raw, Server, nonce};
use tracing::Level;

const TOKEN: &str = "tok_3fb1c8a0/d94e4a7fb2c6";
const ENCODED: &str = "tok_3fb1c8a0%2Fd94e4a7fb2c6";

fn in_header() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::insecure_with_token(TokenIn::header("X-Token"), TOKEN).unwrap()
}

fn in_query() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::insecure_with_token(TokenIn::query("token"), TOKEN).unwrap()
}

fn body() -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    format!(r#"{{"mid":{},"source":"x","timestamp":{now},"payload":{{}}}}"#, nonce())
}

async fn ask(server: &Server, query: &str, headers: &str, body: &str) -> Answer {
    let text = format!(
        "POST {PATH}{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    server.send_raw(text.as_bytes()).await.without_date()
}

async fn only_the_right_token_is_accepted<F: Framework>() {
    let handler = Handler::ok();
    let header = F::serve(in_header(), handler.clone()).await;
    let query = F::serve(in_query(), handler.clone()).await;
    let refused = ask(&header, "", "", &body()).await;
    assert_eq!((refused.status, refused.text().as_str()), (401, "unauthorized"));

    for (sent, right) in [
        (format!("x-token: {TOKEN}\r\n"), true),
        (format!("X-TOKEN: {TOKEN}\r\n"), true),
        (format!("x-token: {TOKEN}x\r\n"), false),
        (format!("x-token: x{TOKEN}\r\n"), false),
        (format!("x-token: {}\r\n", &TOKEN[1..]), false),
        (format!("x-token: {}\r\n", TOKEN.to_uppercase()), false),
        (format!("x-token: {ENCODED}\r\n"), false),
        (format!("x-token: Bearer {TOKEN}\r\n"), false),
        ("x-token: \r\n".to_owned(), false),
        (format!("x-token: {TOKEN}\r\nx-token: {TOKEN}\r\n"), false),
        (format!("x-token: {TOKEN}\r\nx-token: wrong\r\n"), false),
        (format!("token: {TOKEN}\r\n"), false),
    ] {
        let before = handler.runs();
        let answer = ask(&header, "?token=x", &sent, &body()).await;
        assert_eq!(answer == refused, !right, "{sent}: {answer:?}");
        assert_eq!(handler.runs() - before, usize::from(right), "{sent}");
    }
    for (sent, right) in [
        (format!("?token={TOKEN}"), true),
        (format!("?token={ENCODED}"), true),
        (format!("?a=b&t%6fken={ENCODED}&c"), true),
        (format!("?token={ENCODED}%00"), false),
        (format!("?token={ENCODED}&token={ENCODED}"), false),
        (format!("?token={ENCODED}&token="), false),
        (format!("?Token={ENCODED}"), false),
        (format!("?atoken={ENCODED}"), false),
        ("?token".to_owned(), false),
        ("?token=".to_owned(), false),
        ("?".to_owned(), false),
        (String::new(), false),
    ] {
        let before = handler.runs();
        let answer = ask(&query, &sent, &format!("x-token: {TOKEN}\r\n"), &body()).await;
        assert_eq!(answer == refused, !right, "{sent}: {answer:?}");
        assert_eq!(handler.runs() - before, usize::from(right), "{sent}");
    }
    // A signature is not a token.
    let signed = Raw::scrapest(body());
    assert_eq!(header.raw(&signed).await.without_date(), refused);
}

async fn freshness_and_deduplication_use_only_the_body<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(in_header(), handler.clone()).await;
    let token = format!("x-token: {TOKEN}\r\n");
    let (first, id) = (body(), "x-scrapest-delivery-id: other\r\n");
    assert_eq!(ask(&server, "", &token, &first).await.status, 200);
    assert_eq!(ask(&server, "", &token, &first).await.status, 200);
    assert_eq!(ask(&server, "", &format!("{token}{id}"), &first).await.status, 200);
    assert_eq!(handler.runs(), 1, "the same bytes, whatever the id");
    assert_eq!(ask(&server, "", &format!("{token}{id}"), &body()).await.status, 200);
    assert_eq!(handler.runs(), 2, "the captured body did not take the id");
    let old = r#"{"mid":1,"source":"x","timestamp":1712072400000,"payload":{}}"#;
    assert_eq!(ask(&server, "", &token, old).await.status, 401);
    let undated = r#"{"mid":1,"source":"x","payload":{}}"#;
    assert_eq!(ask(&server, "", &token, undated).await.status, 401);
    let event = scrapest::Event::try_from(&handler.deliveries()[0]).unwrap();
    assert!(event.post().is_some());
}

async fn every_active_token_is_accepted<F: Framework>() {
    let handler = Handler::ok();
    let tokens = Secrets::new([TOKEN, "tok_of_last_month_0001"]).unwrap();
    let layer =
        ScrapestWebhookLayer::insecure_with_tokens(TokenIn::query("token"), tokens).unwrap();
    let server = F::serve(layer, handler.clone()).await;
    for (token, status) in
        [(ENCODED, 200), ("tok_of_last_month_0001", 200), ("tok_of_last_month_0002", 401)]
    {
        let answer = ask(&server, &format!("?token={token}"), "", &body()).await;
        assert_eq!(answer.status, status, "{token}");
    }
}

support::for_each_framework! {
    only_the_right_token_is_accepted,
    freshness_and_deduplication_use_only_the_body,
    every_active_token_is_accepted,
}

#[test]
fn a_token_never_appears_in_output() {
    let (logged, _guard) = support::logged::Logged::begin();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use axum::body::Body;
        use axum::http::Request;
        use tower::ServiceExt;

        for (layer, header) in [(in_header(), true), (in_query(), false)] {
            let said = format!("{layer:?}");
            assert!(!said.contains("tok_"), "{said}");
            let handler = Handler::ok();
            let app = support::in_process::app(layer, &handler);
            for token in [ENCODED, "tok_wrong_0001", ""] {
                let (uri, value) = match header {
                    true => ("/".to_owned(), token),
                    false => (format!("/hooks?token={token}"), ""),
                };
                let request = Request::post(uri).header("x-token", value).body(Body::from(body()));
                let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
                let said = format!("{answer:?}");
                assert!(!said.contains("tok_"), "{said}");
            }
            for delivery in handler.deliveries() {
                let said = format!("{delivery:?}");
                assert!(!said.contains("tok_"), "{said}");
            }
        }
    });
    let said = logged.text(Level::TRACE);
    assert!(said.contains("request refused"), "{said}");
    assert!(!said.contains("tok_"), "{said}");
}

#[test]
fn an_unusable_token_is_a_configuration_error() {
    for (place, token, expected) in [
        (TokenIn::header("x-token"), "", "secret: secret is empty"),
        (TokenIn::header("x-token"), "short", "secret: secret has 5 bytes"),
        (TokenIn::header(""), TOKEN, "token: is in header \"\", expected the name of a header"),
        (
            TokenIn::header("x token"),
            TOKEN,
            "token: is in header \"x token\", expected the name of a header",
        ),
        (
            TokenIn::query(""),
            TOKEN,
            "token: is in query parameter \"\", expected the name of a query parameter",
        ),
    ] {
        let error = ScrapestWebhookLayer::insecure_with_token(place, token).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
