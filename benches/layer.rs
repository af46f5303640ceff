//! Measures the layer in process: what it adds to a handler, with and without decoding the event, and what a
//! request costs that is refused at each step. The stores are in `benches/stores.rs`, the events in
//! `benches/decoding.rs`; `benches/peers` compares the layer with other libraries.
//!
//! ```sh
//! cargo bench --bench layer
//! ```

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main,
};
use scrapest_webhook::provider::{Envelope, Message, Provider};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, WebhookLayer, scrapebadger};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";
const SIZES: [usize; 3] = [640, 65_536, 1_048_576];

async fn handler(body: Bytes) -> StatusCode {
    black_box(body);
    StatusCode::OK
}

async fn event(event: scrapebadger::Event) -> StatusCode {
    if event.tweet().is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

/// ScrapeBadger as it would be if it sent all metadata of a delivery in headers.
#[derive(Clone, Debug, Default)]
struct Incurious;

impl Provider for Incurious {
    fn name(&self) -> &'static str {
        "incurious"
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        ["x-scrapebadger-signature"].into_iter()
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        Envelope::new()
            .with_id(message.header("x-scrapebadger-delivery-id"))
            .with_kind(message.header_str("x-scrapebadger-event"))
            .with_insecure_missing_timestamp(true)
    }
}

/// A new signed event of `bytes` bytes, dated `time`.
fn signed_at(bytes: usize, time: SystemTime) -> SignedRequest {
    let request = testing::scrapebadger(SECRET).with_time(time);
    let mut body = request.clone().sign().body().to_vec();
    body.pop();
    write!(body, ",\"number\":{},\"text\":\"", rand::random::<u64>()).unwrap();
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    request.with_body(body).sign()
}

fn signed(bytes: usize) -> SignedRequest {
    signed_at(bytes, SystemTime::now())
}

fn requests(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: BenchmarkId,
    router: &Router,
    status: StatusCode,
    request: impl Fn() -> Request,
) {
    group.bench_function(name, |bencher| {
        bencher.to_async(runtime).iter_batched(
            &request,
            |request| {
                let router = router.clone();
                async move { assert_eq!(router.oneshot(request).await.unwrap().status(), status) }
            },
            BatchSize::SmallInput,
        );
    });
}

/// The state is set in advance, as `axum::serve` does. PUT requests also reach the layer.
fn router(routes: impl FnOnce(MethodFilter) -> MethodRouter) -> Router {
    Router::new().route("/", routes(MethodFilter::POST.or(MethodFilter::PUT))).with_state(())
}

fn ours() -> Router {
    let layer = ScrapeBadgerWebhookLayer::new(SECRET);
    router(|methods| on(methods, handler).route_layer(layer))
}

fn layer(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let bare = router(|methods| on(methods, handler));
    let incurious = WebhookLayer::<Incurious>::new(SECRET);
    let incurious = router(|methods| on(methods, handler).route_layer(incurious));
    let typed = ScrapeBadgerWebhookLayer::new(SECRET);
    let typed = router(|methods| on(methods, event).route_layer(typed));

    let mut group = criterion.benchmark_group("layer");
    for bytes in SIZES {
        for (name, router) in [
            ("bare handler", &bare),
            ("no look at the body", &incurious),
            ("ours", &ours()),
            ("ours, the event", &typed),
        ] {
            let name = BenchmarkId::new(name, bytes);
            let request = || signed(bytes).into_http("/");
            requests(&mut group, &runtime, name, router, StatusCode::OK, request);
        }
    }
    group.finish();
}

fn refusals(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let ours = ours();
    let mut group = criterion.benchmark_group("refusal");
    for bytes in SIZES {
        type Change = fn(SignedRequest) -> Request;
        let long_ago = SystemTime::now() - Duration::from_secs(86_400);
        let refusals: [(_, _, Change); 4] = [
            ("method", StatusCode::METHOD_NOT_ALLOWED, |signed| {
                let mut request = signed.into_http("/");
                *request.method_mut() = Method::PUT;
                request
            }),
            ("no signature", StatusCode::UNAUTHORIZED, |signed| {
                let mut request = signed.into_http::<Body>("/");
                request.headers_mut().remove("x-scrapebadger-signature");
                request
            }),
            ("malformed signature", StatusCode::UNAUTHORIZED, |signed| {
                signed.with_header("x-scrapebadger-signature", "sha256=00").into_http("/")
            }),
            ("wrong signature", StatusCode::UNAUTHORIZED, |signed| {
                let zeros = format!("sha256={:064}", 0);
                signed.with_header("x-scrapebadger-signature", zeros).into_http("/")
            }),
        ];
        for (name, status, change) in refusals {
            let name = BenchmarkId::new(name, bytes);
            requests(&mut group, &runtime, name, &ours, status, || change(signed(bytes)));
        }
        let name = BenchmarkId::new("stale", bytes);
        let stale = || signed_at(bytes, long_ago).into_http("/");
        requests(&mut group, &runtime, name, &ours, StatusCode::UNAUTHORIZED, stale);

        let captured = signed(bytes);
        let first = ours.clone().oneshot(captured.clone().into_http::<Body>("/"));
        assert_eq!(runtime.block_on(first).unwrap().status(), StatusCode::OK);
        let again = || captured.clone().into_http("/");
        let name = BenchmarkId::new("duplicate", bytes);
        requests(&mut group, &runtime, name, &ours, StatusCode::OK, again);
    }
    group.finish();
}

criterion_group!(benches, layer, refusals);
criterion_main!(benches);
