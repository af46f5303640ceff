//! The limits of a timestamp's age: each limit itself is accepted, and the smallest step beyond it is refused.

mod no_timestamp;

use std::time::{Duration, SystemTime};

use scrapest_webhook::{Provider, WebhookLayer};
use support::{Framework, Handler, Raw, Server, badger_layer, layer, nonce};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

const SECOND: time::Duration = time::Duration::SECOND;
const MILLISECOND: time::Duration = time::Duration::MILLISECOND;
const NANOSECOND: time::Duration = time::Duration::NANOSECOND;

const fn seconds_of(number: i64) -> time::Duration {
    time::Duration::seconds(number)
}

/// A layer whose clock always shows `now`.
fn at<P: Provider>(layer: WebhookLayer<P>, now: OffsetDateTime) -> WebhookLayer<P> {
    layer.with_clock(move || now.into())
}

/// The receivers of both senders, with one handler and a clock that always shows noon.
struct Noon {
    scrapest: Server,
    badger: Server,
    handler: Handler,
}

impl Noon {
    async fn serve<F: Framework>() -> Self {
        let handler = Handler::ok();
        let scrapest = F::serve(at(layer(), NOON), handler.clone()).await;
        let badger = F::serve(at(badger_layer(), NOON), handler.clone()).await;
        Self { scrapest, badger, handler }
    }

    /// Whether the request reaches the handler. If not, its answer must be the 401.
    async fn accepts(&self, request: &Raw) -> bool {
        let is_scrapest = request.has("x-scrapest-signature");
        let server = if is_scrapest { &self.scrapest } else { &self.badger };
        let runs = self.handler.runs();
        let answer = server.raw(request).await;
        match answer.status {
            200 => assert_eq!(self.handler.runs(), runs + 1),
            401 => assert_eq!(self.handler.runs(), runs),
            other => panic!("{other} for {:?}", String::from_utf8_lossy(&request.text())),
        }
        answer.status == 200
    }
}

fn seconds(time: OffsetDateTime) -> String {
    time.unix_timestamp().to_string()
}

fn milliseconds(time: OffsetDateTime) -> String {
    (time.unix_timestamp_nanos() / 1_000_000).to_string()
}

fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

fn quoted(time: OffsetDateTime) -> String {
    format!("\"{}\"", rfc3339(time))
}

/// A new body with this value as its `timestamp`.
fn body(timestamp: &str) -> String {
    format!(r#"{{"event":"e","id":"{}","timestamp":{timestamp}}}"#, nonce())
}

/// A new body without a timestamp.
fn undated() -> String {
    format!(r#"{{"event":"e","id":"{}"}}"#, nonce())
}

fn detected(kind: &str, detected_at: &str) -> String {
    format!(r#"{{"type":"{kind}","n":{},"detected_at":{detected_at}}}"#, nonce())
}

/// A request whose body has a good timestamp, and whose timestamp header is not signed.
fn unsigned(header: &str) -> Raw {
    Raw::scrapest(body(&seconds(NOON))).with("x-scrapest-timestamp", header)
}

/// The place and format of a timestamp; its greatest age and its greatest lead, in seconds; and the smallest step
/// that its format can express.
type Kind = (&'static str, fn(OffsetDateTime) -> Raw, i64, i64, time::Duration);

const KINDS: [Kind; 16] = [
    ("body, seconds", |t| Raw::scrapest(body(&seconds(t))), 3_600, 300, SECOND),
    ("body, milliseconds", |t| Raw::scrapest(body(&milliseconds(t))), 3_600, 300, MILLISECOND),
    ("body, RFC 3339", |t| Raw::scrapest(body(&quoted(t))), 3_600, 300, NANOSECOND),
    ("signed header, seconds", |t| Raw::scrapest_at(seconds(t), undated()), 300, 300, SECOND),
    (
        "signed header, milliseconds",
        |t| Raw::scrapest_at(milliseconds(t), undated()),
        300,
        300,
        MILLISECOND,
    ),
    ("signed header, RFC 3339", |t| Raw::scrapest_at(rfc3339(t), undated()), 300, 300, NANOSECOND),
    (
        "signed header beside a body that is dated well",
        |t| Raw::scrapest_at(seconds(t), body(&seconds(NOON))),
        300,
        300,
        SECOND,
    ),
    (
        "body under a signed header that is dated well",
        |t| Raw::scrapest_at(seconds(NOON), body(&seconds(t))),
        3_600,
        300,
        SECOND,
    ),
    ("unsigned header, seconds", |t| unsigned(&seconds(t)), 3_600, 300, SECOND),
    ("unsigned header, milliseconds", |t| unsigned(&milliseconds(t)), 3_600, 300, MILLISECOND),
    ("unsigned header, RFC 3339", |t| unsigned(&rfc3339(t)), 3_600, 300, NANOSECOND),
    ("contract 1", |t| Raw::badger(detected("tweet", &quoted(t))), 3_600, 300, NANOSECOND),
    ("contract 2", |t| Raw::badger_2(detected("tweet", &quoted(t))), 3_600, 300, NANOSECOND),
    (
        "contract 1, milliseconds",
        |t| Raw::badger(detected("tweet", &milliseconds(t))),
        3_600,
        300,
        MILLISECOND,
    ),
    ("test event", |t| Raw::badger(detected("test", &quoted(t))), 3_600, 300, NANOSECOND),
    ("unknown event", |t| Raw::badger(detected("other", &quoted(t))), 3_600, 300, NANOSECOND),
];

async fn a_timestamp_is_fresh_up_to_and_including_the_limit<F: Framework>() {
    let noon = Noon::serve::<F>().await;
    for (kind, request, past, future, step) in KINDS {
        let (oldest, latest) = (NOON - seconds_of(past), NOON + seconds_of(future));
        for (time, fresh) in [
            (NOON, true),
            (oldest + step, true),
            (oldest, true),
            (oldest - step, false),
            (oldest - SECOND, false),
            (latest - step, true),
            (latest, true),
            (latest + step, false),
            (latest + SECOND, false),
            (NOON - seconds_of(86_400), false),
            (NOON + seconds_of(86_400), false),
            (OffsetDateTime::UNIX_EPOCH, false),
            (datetime!(9999-12-31 23:59:59 UTC), false),
        ] {
            assert_eq!(noon.accepts(&request(time)).await, fresh, "{kind}: {time}");
        }
    }
}

async fn the_tolerances_are_settings<F: Framework>() {
    let handler = Handler::ok();
    for (past, future) in [(10, 20), (0, 0), (100_000, 50_000)] {
        let set = (Duration::from_secs(past), Duration::from_secs(future));
        let tolerant = at(layer(), NOON).with_past_tolerance(set.0).with_future_tolerance(set.1);
        let scrapest = F::serve(tolerant, handler.clone()).await;
        let tolerant =
            at(badger_layer(), NOON).with_past_tolerance(set.0).with_future_tolerance(set.1);
        let badger = F::serve(tolerant, handler.clone()).await;
        let (past, future) = (i64::try_from(past).unwrap(), i64::try_from(future).unwrap());
        for (kind, request, _, _, step) in KINDS {
            for (time, status) in [
                (NOON - seconds_of(past), 200),
                (NOON - seconds_of(past) - step, 401),
                (NOON + seconds_of(future), 200),
                (NOON + seconds_of(future) + step, 401),
            ] {
                let request = request(time);
                let server = if request.has("x-scrapest-signature") { &scrapest } else { &badger };
                assert_eq!(server.raw(&request).await.status, status, "{kind}: {time}");
            }
        }
    }
    // The largest tolerance that is allowed.
    let widest = Duration::from_secs(10 * 365 * 24 * 3_600);
    let wide = at(layer(), NOON).with_past_tolerance(widest).with_future_tolerance(widest);
    let server = F::serve(wide, handler.clone()).await;
    for (time, status) in
        [("1500000000", 200), ("2000000000", 200), ("0", 401), ("\"0000-01-01T00:00:00Z\"", 401)]
    {
        assert_eq!(server.raw(&Raw::scrapest(body(time))).await.status, status, "{time}");
    }
}

async fn any_clock_time_is_supported<F: Framework>() {
    let handler = Handler::ok();
    for (clock, time) in [
        (SystemTime::UNIX_EPOCH, "0"),
        (SystemTime::UNIX_EPOCH - Duration::from_secs(86_400), "-86400"),
        (SystemTime::UNIX_EPOCH - Duration::from_millis(500), "\"1969-12-31T23:59:59.5Z\""),
        (SystemTime::from(datetime!(0000-01-01 00:00:00 UTC)), "\"0000-01-01T00:00:00Z\""),
        (SystemTime::from(datetime!(9999-12-31 23:59:59 UTC)), "\"9999-12-31T23:59:59Z\""),
        (SystemTime::from(datetime!(2017-01-01 00:00:00 UTC)), "\"2016-12-31T23:59:60Z\""),
        (SystemTime::from(datetime!(2017-01-01 00:00:00 UTC)), "\"2017-01-01T00:59:60+01:00\""),
        (SystemTime::UNIX_EPOCH + Duration::from_secs(i64::MAX.unsigned_abs()), ""),
        (SystemTime::UNIX_EPOCH - Duration::from_secs(i64::MAX.unsigned_abs()), ""),
    ] {
        let server = F::serve(layer().with_clock(move || clock), handler.clone()).await;
        assert_eq!(server.raw(&Raw::scrapest(body(&seconds(NOON)))).await.status, 401, "{clock:?}");
        if !time.is_empty() {
            assert_eq!(server.raw(&Raw::scrapest(body(time))).await.status, 200, "{clock:?}");
        }
    }
}

async fn every_timestamp_must_be_fresh_and_the_latest_signed_is_reported<F: Framework>() {
    let noon = Noon::serve::<F>().await;
    let minute = |minutes: i64| NOON + time::Duration::minutes(minutes);
    for (header, in_body, told) in [(-1, -2, -1), (-2, -1, -1), (4, -59, 4), (-4, 4, 4)] {
        let request = Raw::scrapest_at(seconds(minute(header)), body(&quoted(minute(in_body))));
        assert!(noon.accepts(&request).await);
        assert_eq!(noon.handler.deliveries().pop().unwrap().timestamp(), Some(minute(told)));
    }
    // An unsigned timestamp is not passed to the handler, however late it is.
    let request =
        Raw::scrapest(body(&seconds(minute(-1)))).with("x-scrapest-timestamp", seconds(NOON));
    assert!(noon.accepts(&request).await);
    assert_eq!(noon.handler.deliveries().pop().unwrap().timestamp(), Some(minute(-1)));
    for (header, in_body) in [(-6, 0), (6, 0), (0, -61), (0, 6), (-6, -61), (6, -61)] {
        let (header, body) = (seconds(minute(header)), body(&quoted(minute(in_body))));
        assert!(!noon.accepts(&Raw::scrapest_at(header, body)).await);
    }
}

support::for_each_framework! {
    a_timestamp_is_fresh_up_to_and_including_the_limit,
    the_tolerances_are_settings,
    any_clock_time_is_supported,
    every_timestamp_must_be_fresh_and_the_latest_signed_is_reported,
}
