//! Tests whether the time of a refusal reveals anything about the secret, by the method of dudect: two classes
//! of requests in random order, and Welch's t of their times. |t| above 5 would be a leak.
//!
//! `cargo run --release --manifest-path benches/timing/Cargo.toml`; `SAMPLES` sets the number of samples.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dudect_bencher::rand::RngExt;
use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::{ScrapestWebhookLayer, Secrets, Webhook, testing};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service};

const SECRETS: [&str; 2] = ["whsec_3fb1c8a0d94e4a7fb2c6", "whsec_old_2fc11f0be4c24b6a"];

type Answer = Response<scrapest_webhook::service::ResponseBody<Full<Bytes>>>;
type Receiver = BoxCloneSyncService<Request<Full<Bytes>>, Answer, Infallible>;

fn samples() -> usize {
    std::env::var("SAMPLES").map_or(1_000_000, |text| text.parse().expect("a number"))
}

fn two_secrets() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::from_secrets(Secrets::new(SECRETS).expect("good secrets"))
}

/// A layer with one known webhook. The time of the lookup is the application's responsibility, and constant here.
fn webhooks() -> ScrapestWebhookLayer {
    let secrets = Secrets::new([SECRETS[0]]).expect("a good secret");
    let webhook = Webhook::new(KNOWN, secrets);
    ScrapestWebhookLayer::for_webhooks(move |request| {
        let known = request.id()?.bytes().zip(KNOWN.bytes()).fold(0, |odd, (a, b)| odd | (a ^ b));
        (std::hint::black_box(known) == 0).then(|| webhook.clone())
    })
}

/// A receiver whose handler is never reached.
fn receiver(layer: ScrapestWebhookLayer) -> Receiver {
    BoxCloneSyncService::new(layer.layer(tower::service_fn(
        async |_: Request<VerifiedBody>| -> Result<Response<Full<Bytes>>, Infallible> {
            panic!("a forged request has run")
        },
    )))
}

/// The correct signature of a request under one of the secrets, with one of its 64 digits changed.
#[derive(Clone, Copy)]
struct Forgery {
    secret: usize,
    digit: usize,
    by: &'static [u8],
    webhook: &'static str,
}

const KNOWN: &str = "wh_2fc11f0be4c2";
const HEX: &[u8] = b"0123456789abcdef";
const FIRST_WRONG: Forgery = Forgery { secret: 0, digit: 0, by: HEX, webhook: KNOWN };
const LAST_WRONG: Forgery = Forgery { digit: 63, ..FIRST_WRONG };
const LAST_WRONG_BY_SECRET_2: Forgery = Forgery { secret: 1, ..LAST_WRONG };
const UNKNOWN: Forgery = Forgery { webhook: "wh_4b6a95be20aa", ..LAST_WRONG };
const NO_DIGIT: Forgery = Forgery { by: b"g", ..LAST_WRONG };

fn forged(
    Forgery { secret, digit, by, webhook }: Forgery,
    rng: &mut BenchRng,
) -> Request<Full<Bytes>> {
    // Each request has a different body. Otherwise the two classes would differ in the text of their
    // signatures, which is not secret and affects the decoding time.
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_772_625_600);
    let signed = testing::scrapest(SECRETS[secret]).with_time(time).sign();
    let mut request: Request<Full<Bytes>> = signed.into_http("/");
    let mut value = request.headers()["x-scrapest-signature"].as_bytes().to_vec();
    let place = &mut value["sha256=".len() + digit];
    let right = *place;
    while *place == right {
        *place = by[rng.random_range(0..by.len())];
    }
    let value = HeaderValue::from_bytes(&value).expect("a header's value");
    request.headers_mut().insert("x-scrapest-signature", value);
    request.headers_mut().insert("x-scrapest-webhook-id", HeaderValue::from_static(webhook));
    request
}

/// Times the layer's whole answer to each request, which is always the same 401.
fn measure(
    runner: &mut CtRunner,
    rng: &mut BenchRng,
    layer: ScrapestWebhookLayer,
    [left, right]: [Forgery; 2],
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let receiver = receiver(layer);
    for _ in 0..samples() {
        let (class, forgery) = match rng.random() {
            true => (Class::Left, left),
            false => (Class::Right, right),
        };
        let prepared = std::cell::Cell::new(Some((receiver.clone(), forged(forgery, rng))));
        runner.run_one(class, || {
            let (mut receiver, request) = prepared.take().expect("asked once");
            let answer = pin!(receiver.call(request));
            let Poll::Ready(Ok(answer)) = answer.poll(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("nothing to wait for");
            };
            assert_eq!(answer.status(), 401);
        });
    }
}

fn first_against_last_byte_wrong(runner: &mut CtRunner, rng: &mut BenchRng) {
    measure(runner, rng, two_secrets(), [FIRST_WRONG, LAST_WRONG]);
}

fn nearly_right_by_secret_1_against_secret_2(runner: &mut CtRunner, rng: &mut BenchRng) {
    measure(runner, rng, two_secrets(), [LAST_WRONG, LAST_WRONG_BY_SECRET_2]);
}

fn known_webhook_against_unknown(runner: &mut CtRunner, rng: &mut BenchRng) {
    measure(runner, rng, webhooks(), [LAST_WRONG, UNKNOWN]);
}

/// Shows that a difference is detected: one class is refused by its header, before any secret is used.
fn wrong_against_malformed_which_differs(runner: &mut CtRunner, rng: &mut BenchRng) {
    measure(runner, rng, two_secrets(), [LAST_WRONG, NO_DIGIT]);
}

ctbench_main!(
    first_against_last_byte_wrong,
    nearly_right_by_secret_1_against_secret_2,
    known_webhook_against_unknown,
    wrong_against_malformed_which_differs
);
