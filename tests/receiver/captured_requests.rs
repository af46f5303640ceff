//! Captured requests, sent again in every way that needs no secret, at many times by the clocks of the store
//! and the layer. A few run by default; the full size is `CAPTURES=10000 cargo test --release --test receiver
//! captured_requests`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use scrapest_webhook::service::{ResponseBody, VerifiedBody};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, Provider, WebhookLayer, scrapebadger, scrapest};
use tokio::time::{Instant, sleep_until};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt};

const SECRET: &str = "whsec_3fb1c8a0d94e4a7fb2c6";
const START: u64 = 1_772_625_600;

/// Seconds after the genuine attempts: around each tolerance, the retention and the following day.
const POINTS: [i64; 50] = [
    0, 1, 2, 5, 10, 15, 16, 30, 60, 120, 239, 240, 241, 299, 300, 301, 302, 359, 360, 361, 480,
    599, 600, 601, 900, 1_200, 1_800, 2_400, 3_000, 3_299, 3_300, 3_480, 3_599, 3_600, 3_601,
    3_720, 3_721, 3_840, 3_899, 3_900, 3_901, 3_960, 4_019, 4_020, 4_021, 4_199, 4_200, 4_201,
    7_200, 86_400,
];

#[derive(Clone, Debug)]
struct Captured {
    request: SignedRequest,
    /// In seconds since `START`.
    dated: i64,
    tolerance: i64,
    event: u64,
    to_scrapest: bool,
}

/// The event with this number, for each sender in turn, by a sender's clock that is right, late or ahead.
fn event(number: u64, at: i64) -> Captured {
    let dated = at + [0, 300, -200, 299][usize::try_from(number / 4 % 4).unwrap()];
    let time =
        SystemTime::UNIX_EPOCH + Duration::from_secs(START.checked_add_signed(dated).unwrap());
    let sign = |request: testing::WebhookRequest, field: &str, kind: &str| {
        let body = format!(
            r#"{{"{kind}":"other","number":{number},"{field}":{}}}"#,
            START.checked_add_signed(dated).unwrap()
        );
        request.with_time(time).with_body(body).with_delivery_id(format!("id-{number}")).sign()
    };
    let (request, tolerance) = match number % 4 {
        0 => (sign(testing::scrapest(SECRET), "timestamp", "event"), 3_600),
        1 => (sign(testing::scrapest(SECRET).with_signed_timestamp(), "timestamp", "event"), 300),
        2 => (sign(testing::scrapebadger(SECRET), "detected_at", "type"), 3_600),
        _ => (sign(testing::scrapebadger_contract_2(SECRET), "detected_at", "event"), 3_600),
    };
    Captured { request, dated, tolerance, event: number, to_scrapest: number % 4 < 2 }
}

type Answer = Response<ResponseBody<Full<Bytes>>>;
type Service = BoxCloneService<Request<Full<Bytes>>, Answer, Infallible>;

/// The layers of both senders on one clock, which is wrong by some seconds, and one handler.
struct World {
    scrapest: Service,
    scrapebadger: Service,
    error: Arc<Mutex<i64>>,
    effects: Arc<Mutex<HashMap<u64, Effects>>>,
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Effects {
    runs: u32,
    successes: u32,
}

impl World {
    fn new() -> Self {
        let (error, effects, began) = (Arc::default(), Arc::default(), Instant::now());
        Self {
            scrapest: service(WebhookLayer::<scrapest::Scrapest>::new(SECRET), &error, &effects),
            scrapebadger: service(
                WebhookLayer::<scrapebadger::ScrapeBadger>::new(SECRET),
                &error,
                &effects,
            ),
            error,
            effects,
            began,
        }
    }

    async fn send(&self, captured: &Captured, request: Request<Full<Bytes>>) -> u16 {
        let service = if captured.to_scrapest { &self.scrapest } else { &self.scrapebadger };
        let Ok(answer) = service.clone().oneshot(request).await;
        answer.status().as_u16()
    }

    async fn send_genuine(&self, captured: &Captured) -> u16 {
        self.send(captured, captured.request.clone().into_http("/")).await
    }

    /// The time by the layers' clock, in seconds since `START`.
    fn clock(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_secs()).unwrap() + *self.error.lock().unwrap()
    }

    async fn until(&self, seconds: i64) {
        sleep_until(self.began + Duration::from_secs(seconds.unsigned_abs())).await;
    }

    fn effects(&self, event: u64) -> Effects {
        self.effects.lock().unwrap().get(&event).copied().unwrap_or_default()
    }
}

fn service<P: Provider>(
    layer: WebhookLayer<P>,
    error: &Arc<Mutex<i64>>,
    effects: &Arc<Mutex<HashMap<u64, Effects>>>,
) -> Service {
    let (error, effects, began) = (Arc::clone(error), Arc::clone(effects), Instant::now());
    let clock = move || {
        let right = SystemTime::UNIX_EPOCH + Duration::from_secs(START) + began.elapsed();
        let error = *error.lock().unwrap();
        let by = Duration::from_secs(error.unsigned_abs());
        if error < 0 { right - by } else { right + by }
    };
    let handler = tower::service_fn(move |request: Request<VerifiedBody>| {
        let delivery = request.extensions().get::<Delivery>().unwrap();
        let fields: HashMap<String, serde_json::Value> = delivery.parse().unwrap();
        let number = fields["number"].as_u64().unwrap();
        let mut effects = effects.lock().unwrap();
        let of_event = effects.entry(number).or_default();
        of_event.runs += 1;
        // The first attempt at every fifth event fails.
        let success = number % 5 != 4 || of_event.runs > 1;
        of_event.successes += u32::from(success);
        let mut answer = Response::new(Full::<Bytes>::default());
        *answer.status_mut() = if success { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
        async { Ok::<_, Infallible>(answer) }
    });
    BoxCloneService::new(layer.with_clock(clock).layer(handler))
}

const VARIANTS: usize = 8;

/// Changes that a client without the secret can make to a captured request.
fn variant(captured: &Captured, nth: usize, round: usize) -> Request<Full<Bytes>> {
    let mut request: Request<Full<Bytes>> = captured.request.clone().into_http("/");
    let headers = request.headers_mut();
    let name = |end: &str| {
        captured.request.headers().map(|(name, _)| name).find(|name| name.contains(end)).unwrap()
    };
    let (id, signature) = (name("delivery-id"), name("signature"));
    let new = HeaderValue::from(round * 1_000_000 + usize::try_from(captured.event).unwrap());
    match nth {
        0 => {}
        1 => drop(headers.insert(id, new)),
        2 => drop(headers.remove(id)),
        3 => {
            let digits = headers[signature].to_str().unwrap()[7..].to_uppercase();
            headers.insert(signature, format!("sha256={digits}").parse().unwrap());
            headers.insert(id, new);
        }
        // The id of a future delivery.
        4 => drop(headers.insert(id, format!("id-{}", captured.event + 8).parse().unwrap())),
        5 => {
            headers.insert("x-scrapest-event", HeaderValue::from_static("test"));
            headers.insert("x-scrapebadger-event", HeaderValue::from_static("test"));
            headers.insert(id, new);
        }
        6 => {
            headers.append(id, new.clone());
            headers.append(id, new);
        }
        _ => {
            // A new date, where the date is not signed.
            let date = START.checked_add_signed(captured.dated + 3_600).unwrap();
            headers.insert("x-scrapest-timestamp", date.into());
            headers.insert(id, new);
        }
    }
    request
}

/// The layers' clocks are wrong by `at_first` seconds when the requests are captured, and by `later` when they
/// are sent again.
async fn capture_and_replay(at_first: i64, later: i64) {
    let count = std::env::var("CAPTURES").map_or(100, |text| text.parse().unwrap());
    let world = World::new();
    *world.error.lock().unwrap() = at_first;
    let captures: Vec<_> = (0..count).map(|number| event(number, at_first)).collect();
    for captured in &captures {
        // A replay between the failed attempt and its retry may run instead of the retry.
        if captured.event % 5 == 4 {
            assert_eq!(world.send_genuine(captured).await, 502);
            if captured.event % 2 == 0 {
                world.send(captured, variant(captured, 1, 0)).await;
            }
        } else if captured.event >= 8 {
            let before = &captures[usize::try_from(captured.event).unwrap() - 8];
            assert_eq!(world.send(before, variant(before, 4, 0)).await, 200);
        }
        assert_eq!(world.send_genuine(captured).await, 200, "{captured:?}");
    }
    let runs: Vec<_> = captures.iter().map(|captured| world.effects(captured.event)).collect();
    assert!(runs.iter().all(|effects| effects.successes == 1));

    *world.error.lock().unwrap() = later;
    let (mut replays, mut retries) = (0_u64, 0_u64);
    for (round, point) in POINTS.into_iter().enumerate() {
        world.until(point).await;
        for captured in &captures {
            for nth in 0..VARIANTS {
                let status = world.send(captured, variant(captured, nth, round)).await;
                assert!([200, 401].contains(&status), "{status} to variant {nth} at {point}");
                replays += 1;
            }
            // As if the sender had not received its answer.
            let age = world.clock() - captured.dated;
            if (-300..=captured.tolerance).contains(&age) {
                assert_eq!(world.send_genuine(captured).await, 200, "a retry at {point}");
                retries += 1;
            }
        }
        for (captured, before) in captures.iter().zip(&runs) {
            let effects = world.effects(captured.event);
            assert_eq!(effects.runs, before.runs, "ran again by {point}: {captured:?}");
        }
        // A new delivery is not refused.
        let fresh = event(10_000_000 + u64::try_from(round).unwrap() * 5, world.clock());
        assert_eq!(world.send_genuine(&fresh).await, 200, "a new delivery at {point}");
        assert_eq!(world.effects(fresh.event).successes, 1);
    }
    println!(
        "{count} captured, {replays} replays, {retries} retries, none ran again or was refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_captured_request_never_runs_again_and_no_genuine_one_is_refused() {
    capture_and_replay(0, 0).await;
}

/// Each clock may be wrong by a minute, and the sender's may be ahead by the whole tolerance.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_fast_and_is_slow_lets_no_captured_request_run() {
    capture_and_replay(60, -60).await;
}
