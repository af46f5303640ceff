//! The layer in process: what it adds to a handler, what each refusal costs beside it, and what an event costs to
//! decode. Who does the same otherwise is compared in `benches/peers`.
//!
//! ```sh
//! cargo bench --bench layer
//! ```

#![allow(missing_docs, reason = "a benchmark is nobody's library")]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, on};
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main,
};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, scrapebadger, scrapest};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const SECRET: &str = "whsec_0123456789abcdef01234567";
const SIZES: [usize; 3] = [640, 65_536, 1_048_576];

async fn handler(body: Bytes) -> StatusCode {
    black_box(body);
    StatusCode::OK
}

/// So many bytes that are an event of this time, and new each time.
fn signed_at(bytes: usize, time: SystemTime) -> SignedRequest {
    let request = testing::scrapebadger(SECRET).with_time(time);
    let mut body = request.clone().sign().body().to_vec();
    let unique = format!(",\"n\":{}", rand::random::<u64>());
    body.pop();
    body.extend_from_slice(unique.as_bytes());
    // Whitespace is signed, and in nobody's way.
    body.resize(bytes - 1, b' ');
    body.push(b'}');
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

fn layer(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    // Finished beforehand, as `axum::serve` does.
    let both = MethodFilter::POST.or(MethodFilter::PUT);
    let bare = Router::new().route("/", on(both, handler)).with_state(());
    let layer = ScrapeBadgerWebhookLayer::new(SECRET);
    let ours = Router::new().route("/", on(both, handler).route_layer(layer)).with_state(());

    let mut group = criterion.benchmark_group("layer");
    for bytes in SIZES {
        for (name, router) in [("bare handler", &bare), ("ours", &ours)] {
            let name = BenchmarkId::new(name, bytes);
            let request = || signed(bytes).into_http("/");
            requests(&mut group, &runtime, name, router, StatusCode::OK, request);
        }
    }
    group.finish();

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

/// Each documented kind; beside it the same bytes as a `Value`.
fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let scrapest_kinds = [
        "tweet.created",
        "tweet.updated",
        "user.updated",
        "webhook.delivery_failed",
        "webhook.verified",
    ];
    for kind in scrapest_kinds {
        let body = testing::scrapest(SECRET).with_kind(kind).sign().body().clone();
        group.bench_function(BenchmarkId::new("scrapest::Event", kind), |bencher| {
            bencher.iter(|| scrapest::Event::from_body(Some(kind), &body).unwrap());
        });
        value(&mut group, kind, &body);
    }
    for (kind, request) in [
        ("tweet", testing::scrapebadger(SECRET)),
        ("tweet.detected", testing::scrapebadger_contract_2(SECRET)),
    ] {
        let body = request.with_kind(kind).sign().body().clone();
        group.bench_function(BenchmarkId::new("scrapebadger::Event", kind), |bencher| {
            bencher.iter(|| scrapebadger::Event::from_body(Some(kind), &body).unwrap());
        });
        value(&mut group, kind, &body);
    }
    group.finish();
}

fn value(group: &mut BenchmarkGroup<'_, WallTime>, kind: &str, body: &[u8]) {
    group.bench_function(BenchmarkId::new("serde_json::Value", kind), |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(body).unwrap());
    });
}

criterion_group!(benches, layer, decoding);
criterion_main!(benches);
