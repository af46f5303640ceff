//! Which addresses may send: an allow-list, and the client addresses that proxies report.

use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::StatusCode;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{RejectionKind, ScrapestWebhookLayer};
use support::connection::Connection;
use support::in_process::{app, http, send, send_from, status};
use support::logged::Logged;
use support::scripted::ScriptedStore;
use support::{Framework, Handler, Raw, client, genuine, layer};
use tower::ServiceExt;
use tracing::Level;

fn allowing<const N: usize>(networks: [&str; N]) -> ScrapestWebhookLayer {
    layer().with_allowed_ips(networks).unwrap()
}

async fn only_clients_on_the_allow_list_may_send<F: Framework>() {
    for (networks, expected) in [
        (["127.0.0.0/8"], 200),
        (["127.0.0.1"], 200),
        (["::ffff:127.0.0.0/104"], 200),
        (["127.0.0.2"], 403),
        (["192.0.2.0/24"], 403),
        // Everyone, but only by IPv6.
        (["::/0"], 403),
    ] {
        let (handler, store) = (Handler::ok(), ScriptedStore::recording());
        let server = F::serve(allowing(networks).with_store(store.clone()), handler.clone()).await;
        assert_eq!(server.send(&genuine().sign()).await.status, expected, "{networks:?}");
        assert_eq!(handler.runs(), usize::from(expected == 200));
        assert_eq!(store.calls().is_empty(), expected == 403);
    }
}

async fn clients_not_on_the_allow_list_get_one_answer_to_any_request<F: Framework>() {
    let server = F::serve(allowing(["192.0.2.0/24"]), Handler::ok()).await;
    let expected = server.send(&genuine().sign()).await.without_date();
    assert_eq!((expected.status, expected.text().as_str()), (403, "forbidden"));
    let text = client::text(&genuine().sign());
    for request in [
        Raw::new("").text(),
        Raw::scrapest("{}").with("content-encoding", "gzip").text(),
        Raw::scrapest("{}").text_without_body(9_999_999),
        // The layer never asks for its body.
        Raw::from(genuine().sign()).text_without_body(100),
        Raw::new("").with("x-forwarded-for", "192.0.2.1").text(),
        Raw::new("").with("forwarded", "for=192.0.2.1").text(),
    ] {
        assert_eq!(server.send_raw(&request).await.without_date(), expected);
    }
    let mut connection = Connection::to(&server).await;
    connection.write(&text).await;
    assert_eq!(connection.answer().await.unwrap().without_date(), expected);
}

/// `203.0.113.0/24` and `2001:db8::/32` are allowed; local addresses and one more are trusted.
const FORWARDED: &[(&[(&str, &str)], u16)] = &[
    (&[], 403),
    // Read from the end, past the trusted addresses.
    (&[("x-forwarded-for", "203.0.113.9")], 200),
    (&[("X-Forwarded-For", " 203.0.113.9\t,  127.0.0.5 , 198.51.100.7")], 200),
    (&[("x-forwarded-for", "203.0.113.9, 198.51.100.1")], 403),
    (&[("x-forwarded-for", "198.51.100.1, 203.0.113.9")], 200),
    (&[("x-forwarded-for", "203.0.113.9, 198.51.100.1, 127.0.0.1")], 403),
    // All are trusted: the farthest one counts, and it is not on the list.
    (&[("x-forwarded-for", "127.0.0.9, 127.0.0.8")], 403),
    // Several lines form one list.
    (&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")], 200),
    (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], 403),
    (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "127.0.0.1")], 200),
    // Forms of an address.
    (&[("x-forwarded-for", "203.0.113.9:4711")], 200),
    (&[("x-forwarded-for", "::ffff:203.0.113.9")], 200),
    (&[("x-forwarded-for", "203.0.113.9, ::ffff:127.0.0.1")], 200),
    (&[("x-forwarded-for", "2001:db8::9")], 200),
    (&[("x-forwarded-for", "[2001:db8::9]")], 200),
    (&[("x-forwarded-for", "[2001:db8::9]:443")], 200),
    (&[("x-forwarded-for", "2001:db9::9")], 403),
    // An unreadable element is not an address, and is not skipped.
    (&[("x-forwarded-for", "")], 403),
    (&[("x-forwarded-for", "203.0.113.9,")], 403),
    (&[("x-forwarded-for", "203.0.113.9, unknown")], 403),
    (&[("x-forwarded-for", "203.0.113.9, 127.0.0.1, , 127.0.0.1")], 403),
    (&[("x-forwarded-for", "203.0.113.009")], 403),
    (&[("x-forwarded-for", "203.0.113.9.")], 403),
    (&[("x-forwarded-for", "203.0.113.9/24")], 403),
    (&[("x-forwarded-for", "[203.0.113.9]")], 403),
    (&[("x-forwarded-for", "\"203.0.113.9\"")], 403),
    (&[("x-forwarded-for", "203.0.113.9 198.51.100.1")], 403),
    (&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "\u{fc}")], 403),
    // Addresses beyond the first unknown proxy have no effect.
    (&[("x-forwarded-for", "nonsense, 203.0.113.9")], 200),
    // RFC 7239.
    (&[("forwarded", "for=203.0.113.9")], 200),
    (&[("Forwarded", "For=\"203.0.113.9:4711\" ; proto=https;by=10.0.0.1, for=127.0.0.1")], 200),
    (&[("forwarded", "for=\"[2001:db8::9]\";host=\"a\\\"b,c\"")], 200),
    (&[("forwarded", "for=198.51.100.1"), ("forwarded", "for=203.0.113.9")], 200),
    (&[("forwarded", "for=203.0.113.9, for=198.51.100.1")], 403),
    (&[("forwarded", "for=203.0.113.9;for=203.0.113.9")], 403),
    (&[("forwarded", "for=203.0.113.9, proto=https")], 403),
    (&[("forwarded", "for=203.0.113.9, for=unknown")], 403),
    (&[("forwarded", "for=203.0.113.9, for=_hidden")], 403),
    (&[("forwarded", "for=203.0.113.9;")], 403),
    (&[("forwarded", "for=203.0.113.9 x")], 403),
    (&[("forwarded", "for =203.0.113.9")], 403),
    (&[("forwarded", "for=\"203.0.113.9")], 403),
    (&[("forwarded", "for=")], 403),
    (&[("forwarded", "")], 403),
    // A quoted string in the proxy's line came from the client.
    (&[("forwarded", "for=198.51.100.1;host=\"x, for=203.0.113.9\"")], 403),
    (&[("forwarded", "for=198.51.100.1;host=\"x\\\", for=203.0.113.9;y=\\\"\"")], 403),
    // Each line is parsed separately: an unclosed quote of the client does not swallow the proxy's line.
    (&[("forwarded", "for=\"x"), ("forwarded", "for=203.0.113.9")], 200),
    (&[("forwarded", "for=203.0.113.9;x=\""), ("forwarded", "for=198.51.100.1;host=\"a\"")], 403),
    // A proxy that writes one header passes the other on unchanged.
    (&[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.9")], 403),
    (&[("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=198.51.100.1")], 403),
    (&[("x-forwarded-for", "203.0.113.9"), ("forwarded", "nonsense")], 403),
    (&[("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")], 200),
    (&[("x-real-ip", "203.0.113.9")], 403),
];

fn behind_a_proxy() -> ScrapestWebhookLayer {
    let layer = allowing(["203.0.113.0/24", "2001:db8::/32"]);
    layer.with_trusted_proxies(["127.0.0.0/8", "198.51.100.7"]).unwrap()
}

async fn the_address_forwarded_by_a_trusted_proxy_is_used<F: Framework>() {
    let server = F::serve(behind_a_proxy(), Handler::ok()).await;
    for (headers, expected) in FORWARDED {
        let raw = headers
            .iter()
            .fold(Raw::from(genuine().sign()), |raw, (name, value)| raw.with(name, value));
        assert_eq!(server.raw(&raw).await.status, *expected, "{headers:?}");
    }
}

async fn an_untrusted_proxy_counts_as_the_client<F: Framework>() {
    let layer = allowing(["203.0.113.0/24"]).with_trusted_proxies(["127.0.0.2"]).unwrap();
    let server = F::serve(layer, Handler::ok()).await;
    let itself = F::serve(allowing(["127.0.0.1"]), Handler::ok()).await;
    for (name, value) in [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")] {
        let raw = Raw::from(genuine().sign()).with(name, value);
        assert_eq!(server.raw(&raw).await.status, 403);
        assert_eq!(itself.raw(&raw).await.status, 200);
    }
}

support::for_each_framework! {
    only_clients_on_the_allow_list_may_send,
    clients_not_on_the_allow_list_get_one_answer_to_any_request,
    the_address_forwarded_by_a_trusted_proxy_is_used,
    an_untrusted_proxy_counts_as_the_client,
}

#[tokio::test]
async fn an_allow_list_without_a_peer_address_is_logged_once() {
    let (logged, _guard) = Logged::begin();
    let handler = Handler::ok();
    let app = app(allowing(["192.0.2.1"]), &handler);
    for _ in 0..3 {
        let response = send(&app, &genuine().sign()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(handler.runs(), 0);
    let errors: Vec<_> = logged.lines().into_iter().filter(|l| l.level <= Level::WARN).collect();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert_eq!(error.level, Level::ERROR);
    assert!(error.fields["message"].contains("into_make_service_with_connect_info"), "{error:?}");
    assert_eq!(logged.values("outcome"), [RejectionKind::NoPeerAddress.as_str(); 3]);
}

#[tokio::test]
async fn a_trusted_proxy_without_a_forwarded_header_is_logged_once() {
    let (logged, _guard) = Logged::begin();
    let app = app(behind_a_proxy(), &Handler::ok());
    for _ in 0..3 {
        assert_eq!(send_from("127.0.0.1", &app, &genuine().sign()).await.status(), 403);
    }
    let errors: Vec<_> = logged.lines().into_iter().filter(|l| l.level <= Level::WARN).collect();
    let [error] = &errors[..] else { panic!("{errors:?}") };
    assert!(error.fields["message"].contains("X-Forwarded-For"), "{error:?}");
}

#[tokio::test]
async fn no_peer_address_is_needed_without_an_allow_list() {
    let layer = layer().with_trusted_proxies(["127.0.0.1"]).unwrap();
    assert_eq!(status(&app(layer, &Handler::ok()), &genuine().sign()).await, 200);
}

#[tokio::test]
async fn the_address_is_peer_addr_or_else_connect_info_or_its_mock() {
    let address = |text: &str| text.parse::<std::net::SocketAddr>().unwrap();
    let app = app(allowing(["192.0.2.1"]), &Handler::ok());
    let with_info = |text: &str, request: &SignedRequest| {
        let mut request = http(request);
        request.extensions_mut().insert(ConnectInfo(address(text)));
        request
    };
    for (peer, expected) in
        [("192.0.2.1:1", 200), ("192.0.2.2:1", 403), ("[::ffff:192.0.2.1]:1", 200)]
    {
        let request = genuine().sign();
        let asked = with_info(peer, &request);
        assert_eq!(app.clone().oneshot(asked).await.unwrap().status(), expected, "{peer}");
        let mocked = app.clone().layer(MockConnectInfo(address(peer)));
        assert_eq!(status(&mocked, &genuine().sign()).await, expected, "{peer}");
        assert_eq!(status(&mocked, &genuine().sign()).await, expected, "{peer}");
    }
    let mut request = with_info("192.0.2.2:1", &genuine().sign());
    request.extensions_mut().insert(scrapest_webhook::PeerAddr([192, 0, 2, 1].into()));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
}

#[test]
fn invalid_empty_and_unlimited_networks_are_refused() {
    for (network, text) in [
        (
            "192.0.2.0/33",
            "has \"192.0.2.0/33\", expected an address or a network like 192.0.2.0/24",
        ),
        ("192.0.2", "has \"192.0.2\", expected an address or a network like 192.0.2.0/24"),
        ("localhost", "has \"localhost\", expected an address or a network like 192.0.2.0/24"),
        ("", "has \"\", expected an address or a network like 192.0.2.0/24"),
    ] {
        let errors = [layer().with_allowed_ips([network]), layer().with_trusted_proxies([network])];
        for (error, setting) in errors.into_iter().zip(["allowed_ips", "trusted_proxies"]) {
            assert_eq!(error.unwrap_err().to_string(), format!("{setting}: {text}"));
        }
    }
    let error = layer().with_allowed_ips::<&str>([]).unwrap_err();
    assert_eq!(error.to_string(), "allowed_ips: is empty, expected at least one network");
    for everyone in ["0.0.0.0/0", "::/0"] {
        assert!(layer().with_allowed_ips([everyone]).is_ok());
        let error = layer().with_trusted_proxies([everyone]).unwrap_err().to_string();
        assert!(error.starts_with("trusted_proxies: contains every address"), "{error}");
    }
    let mixed: [std::net::IpAddr; 2] = [[127, 0, 0, 1].into(), [0_u16; 8].into()];
    assert!(layer().with_allowed_ips(mixed).is_ok());
    assert!(layer().with_allowed_ips(" 192.0.2.0/24, 2001:db8::1".split(',')).is_ok());
}
