//! The table of answers: for each reason its status, its headers, its body, and the reason in the response's
//! extensions.

use std::convert::Infallible;
use std::future::{Ready, pending};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use scrapest_webhook::scrapest::{Deliver, Scrapest};
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Rejection, RejectionKind, ScrapestWebhookLayer};
use support::in_process::{app, http, send, send_from, status, text};
use support::watched::Watched;
use support::{Handler, genuine, layer, seconds_ago};
use tower::{Layer, Service, ServiceExt};

use crate::uncommitted;

const PLAIN: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

type Expected = (RejectionKind, u16, &'static [(&'static str, &'static str)], &'static str);

const TABLE: &[Expected] = &[
    (RejectionKind::NoPeerAddress, 500, &[PLAIN], "internal error"),
    (RejectionKind::UnreadableForwarding, 403, &[PLAIN], "forbidden"),
    (RejectionKind::AddressNotAllowed, 403, &[PLAIN], "forbidden"),
    (RejectionKind::Throttled, 429, &[PLAIN, ("retry-after", "60")], "too many requests"),
    (RejectionKind::MethodNotAllowed, 405, &[PLAIN, ("allow", "POST")], "expected POST"),
    (
        RejectionKind::ContentEncoding,
        415,
        &[PLAIN, ("accept-encoding", "identity")],
        "expected no content-encoding",
    ),
    (RejectionKind::BodyTooLarge, 413, &[PLAIN], "body too large"),
    (RejectionKind::MissingSignature, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::RepeatedSignature, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::MalformedSignature, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::BodyTooSlow, 408, &[PLAIN], "body too slow"),
    (RejectionKind::BodyIncomplete, 400, &[PLAIN], "body incomplete"),
    (RejectionKind::BytesInFlight, 503, &[PLAIN, ("retry-after", "1")], "busy, try again"),
    (RejectionKind::UnknownWebhook, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::WrongSignature, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::NoSignedTimestamp, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::Stale, 401, &[PLAIN], "unauthorized"),
    (RejectionKind::Filtered, 200, &[], ""),
    (
        RejectionKind::Challenge,
        200,
        &[
            ("content-type", "application/json"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
        ],
        r#"{"challenge":"challenge-0001"}"#,
    ),
    (RejectionKind::Duplicate, 200, &[], ""),
    (RejectionKind::TooManyRuns, 503, &[PLAIN, ("retry-after", "1")], "busy, try again"),
    // The rest of the other attempt's lease: 15 s without the 4 s of waiting.
    (RejectionKind::InProgress, 503, &[PLAIN, ("retry-after", "11")], "in progress, try again"),
    (RejectionKind::TooManyWaiting, 503, &[PLAIN, ("retry-after", "15")], "in progress, try again"),
    (RejectionKind::NotReady, 503, &[PLAIN, ("retry-after", "1")], "busy, try again"),
    (RejectionKind::ShuttingDown, 503, &[PLAIN, ("retry-after", "1")], "unavailable, try again"),
    (RejectionKind::StoreDown, 503, &[PLAIN, ("retry-after", "1")], "unavailable, try again"),
    (RejectionKind::AnswerDeadline, 503, &[PLAIN, ("retry-after", "1")], "in progress, try again"),
    (RejectionKind::RunLimit, 503, &[PLAIN, ("retry-after", "1")], "unavailable, try again"),
    (RejectionKind::HandlerPanicked, 500, &[PLAIN], "internal error"),
    (RejectionKind::NotCommitted, 500, &[PLAIN], "internal error"),
];

#[tokio::test(start_paused = true)]
async fn each_reason_has_its_status_its_headers_and_its_body() {
    let kinds: Vec<_> = TABLE.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, RejectionKind::ALL, "the table has all of them");
    for (kind, status, headers, body) in TABLE {
        let response = provoke(*kind).await;
        let rejection = *response.extensions().get::<Rejection>().expect("the reason");
        assert_eq!(rejection.kind(), *kind);
        assert_eq!(
            (rejection.status(), response.status().as_u16()),
            (*status, *status),
            "{kind:?}"
        );
        assert_eq!(kind.status(), *status);
        assert_eq!(rejection.to_string(), kind.as_str());
        let mut found: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| *name != "content-length")
            .collect();
        let mut expected = headers.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{kind:?}");
        assert_eq!(text(response).await, *body, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_authentication_failures_get_the_same_answer() {
    let mut answers = Vec::new();
    for (kind, status, ..) in TABLE {
        if *status == 401 {
            let response = provoke(*kind).await;
            let (parts, body) = response.into_parts();
            answers.push((
                parts.status,
                parts.version,
                parts.headers,
                text(Response::new(body)).await,
            ));
        }
    }
    assert_eq!(answers.len(), 7);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_the_handler_is_passed_on_unchanged() {
    for code in [200, 201, 204, 301, 400, 401, 404, 422, 429, 500, 503] {
        let handler = Handler::new(move |_, _| async move { code });
        let response = send(&app(layer(), &handler), &genuine().sign()).await;
        assert_eq!(response.status().as_u16(), code);
        assert!(response.extensions().get::<Rejection>().is_none(), "the layer refused nothing");
        assert_eq!(response.headers().get("retry-after"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn labels_are_short_fixed_and_distinct() {
    let labels: std::collections::HashSet<_> =
        RejectionKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(labels.len(), RejectionKind::ALL.len());
    assert!(labels.iter().all(|label| {
        label.len() <= 24 && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }));
}

/// Provokes an answer with this reason.
pub async fn provoke(kind: RejectionKind) -> Response {
    let (ok, request) = (app(layer(), &Handler::ok()), genuine().sign());
    let never = Handler::new(|_, _| pending());
    match kind {
        RejectionKind::NoPeerAddress => {
            let layer = layer().with_allowed_ips(["192.0.2.1"]).unwrap();
            send(&app(layer, &Handler::ok()), &request).await
        }
        RejectionKind::UnreadableForwarding => {
            let layer = layer().with_allowed_ips(["192.0.2.1"]).unwrap();
            let layer = layer.with_trusted_proxies(["192.0.2.2"]).unwrap();
            send_from("192.0.2.2", &app(layer, &Handler::ok()), &request).await
        }
        RejectionKind::AddressNotAllowed => {
            let layer = layer().with_allowed_ips(["192.0.2.1"]).unwrap();
            send_from("192.0.2.2", &app(layer, &Handler::ok()), &request).await
        }
        RejectionKind::Throttled => {
            let app = app(layer().with_failed_auth_limit(1), &Handler::ok());
            let forged = request.clone().with_body("{}");
            assert_eq!(send_from("192.0.2.2", &app, &forged).await.status(), 401);
            send_from("192.0.2.2", &app, &request).await
        }
        RejectionKind::MethodNotAllowed => {
            let mut request = http(&request);
            *request.method_mut() = Method::PUT;
            ok.oneshot(request).await.unwrap()
        }
        RejectionKind::ContentEncoding => {
            send(&ok, &request.with_header("content-encoding", "gzip")).await
        }
        RejectionKind::BodyTooLarge => {
            send(&app(layer().with_body_limit(10), &Handler::ok()), &request).await
        }
        RejectionKind::MissingSignature => {
            let mut request = http(&request);
            request.headers_mut().remove("x-scrapest-signature").unwrap();
            ok.oneshot(request).await.unwrap()
        }
        RejectionKind::RepeatedSignature => {
            let mut request = http(&request);
            let signature = request.headers()["x-scrapest-signature"].clone();
            request.headers_mut().append("x-scrapest-signature", signature);
            ok.oneshot(request).await.unwrap()
        }
        RejectionKind::MalformedSignature => {
            send(&ok, &request.with_header("x-scrapest-signature", "sha256=00")).await
        }
        RejectionKind::BodyTooSlow => {
            let body =
                StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, &str>>());
            ok.oneshot(http(&request).map(|_| Body::new(body))).await.unwrap()
        }
        RejectionKind::BodyIncomplete => {
            let broken = futures_util::stream::iter([Ok(Frame::data("{".into())), Err("broken")]);
            let body = Body::new(StreamBody::new(broken));
            ok.oneshot(http(&request).map(|_| body)).await.unwrap()
        }
        RejectionKind::BytesInFlight => {
            // Room for one. Other bodies may be a little longer, because their fractions of a second differ.
            let limit = request.body().len() + 20;
            let layer = layer().with_body_limit(limit).with_bytes_in_flight(limit);
            let app = app(layer, &never);
            running(&app, &request).await;
            send(&app, &genuine().sign()).await
        }
        RejectionKind::UnknownWebhook => {
            send(&app(ScrapestWebhookLayer::for_webhooks(|_| None), &Handler::ok()), &request).await
        }
        RejectionKind::WrongSignature => send(&ok, &request.with_body("{}")).await,
        RejectionKind::NoSignedTimestamp => send(&ok, &genuine().with_body("{}").sign()).await,
        RejectionKind::Stale => send(&ok, &genuine().with_time(seconds_ago(9_999)).sign()).await,
        RejectionKind::Filtered => {
            let provider = Scrapest::default().with_deliver(Deliver::FullOnly);
            let app = app(layer().with_provider(provider), &Handler::ok());
            send(&app, &genuine().with_kind("fast-x").sign()).await
        }
        RejectionKind::Challenge => {
            send(&ok, &genuine().with_kind("webhook.verification").sign()).await
        }
        RejectionKind::Duplicate => {
            assert_eq!(status(&ok, &request).await, 200);
            send(&ok, &request).await
        }
        RejectionKind::TooManyRuns => {
            let app = app(layer().with_max_concurrent_runs(1), &never);
            running(&app, &genuine().sign()).await;
            send(&app, &request).await
        }
        RejectionKind::InProgress => {
            let app = app(layer(), &never);
            running(&app, &request).await;
            send(&app, &request).await
        }
        RejectionKind::TooManyWaiting => {
            let app = app(layer(), &never);
            for _ in 0..17 {
                running(&app, &request).await;
            }
            send(&app, &request).await
        }
        RejectionKind::StoreDown => {
            let store = Watched::default();
            store.set_down(true);
            send(&app(layer().with_store(store), &Handler::ok()), &request).await
        }
        RejectionKind::ShuttingDown => {
            let layer = layer();
            assert!(layer.shutdown(Duration::ZERO).await);
            send(&app(layer, &Handler::ok()), &request).await
        }
        RejectionKind::NotReady => {
            let app = Router::new().fallback_service(layer().layer(NeverReady));
            send(&app, &request).await
        }
        RejectionKind::AnswerDeadline => send(&app(layer(), &never), &request).await,
        RejectionKind::RunLimit => {
            let layer: ScrapestWebhookLayer = layer().with_run_limit(Duration::from_secs(2));
            send(&app(layer, &never), &request).await
        }
        RejectionKind::HandlerPanicked => {
            let panics = Handler::new(|_, _| async { panic!("as it was told") });
            send(&app(layer(), &panics), &request).await
        }
        RejectionKind::NotCommitted => uncommitted::success(&request).await,
        other => panic!("how is {other:?} to be provoked?"),
    }
}

#[derive(Clone)]
struct NeverReady;

impl Service<Request<VerifiedBody>> for NeverReady {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<VerifiedBody>) -> Self::Future {
        unreachable!("it is never ready")
    }
}

/// Starts the request, and returns once it waits for something.
async fn running(app: &Router, request: &SignedRequest) {
    let (app, request) = (app.clone(), request.clone());
    tokio::spawn(async move { send(&app, &request).await });
    tokio::task::yield_now().await;
}
