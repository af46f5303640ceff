//! Hostile bodies with a valid signature: the correct value or a clear refusal, and the connection stays
//! usable.

use scrapest_webhook::{EventError, EventErrorKind, scrapebadger, scrapest};
use support::connection::Connection;
use support::{Framework, Handler, Raw, Server, badger_layer, layer, nonce};

/// A handler that decodes the event, and answers 422 if that fails.
fn typed() -> Handler {
    Handler::new(|delivery, _| async move {
        let event = match delivery.sender() {
            "scrapest" => scrapest::Event::try_from(&delivery).map(drop),
            _ => scrapebadger::Event::try_from(&delivery).map(drop),
        };
        match event {
            Ok(()) => 200,
            Err(error) => {
                is_fit_for_a_log(&error);
                422
            }
        }
    })
}

fn is_fit_for_a_log(error: &EventError) {
    let text = error.to_string();
    assert_eq!(error.kind(), EventErrorKind::Payload);
    assert!(
        text.len() <= 512 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{text:?}"
    );
}

pub struct Typed {
    pub scrapest: Server,
    pub badger: Server,
    pub handler: Handler,
}

impl Typed {
    pub async fn serve<F: Framework>() -> Self {
        let handler = typed();
        let scrapest = F::serve(layer(), handler.clone()).await;
        let badger = F::serve(badger_layer(), handler.clone()).await;
        Self { scrapest, badger, handler }
    }

    /// Returns the status of the answer, and checks that a good request on the same connection is answered
    /// after it.
    pub async fn status(&self, request: &Raw) -> u16 {
        let is_scrapest = request.has("x-scrapest-signature");
        let (server, good) = match is_scrapest {
            true => (&self.scrapest, Raw::scrapest(event("e", ""))),
            false => (&self.badger, Raw::badger(event("e", ""))),
        };
        let mut connection = Connection::to(server).await;
        connection.write(&[request.text_kept_alive(), good.text()].concat()).await;
        let answer = connection.answer().await.expect("an answer");
        let next = connection.answer().await.map(|answer| answer.status);
        assert_eq!(next, Some(200), "after {:.200}", String::from_utf8_lossy(request.body()));
        answer.status
    }
}

pub fn now() -> String {
    time::OffsetDateTime::now_utc().unix_timestamp().to_string()
}

/// An event of either sender, new each time.
pub fn event(kind: &str, rest: &str) -> String {
    let (time, n) = (now(), nonce());
    format!(r#"{{"event":"{kind}","timestamp":{time},"detected_at":{time},"n":{n}{rest}}}"#)
}

pub fn deep(open: &str, close: &str, levels: usize) -> String {
    format!("{}{}", open.repeat(levels), close.repeat(levels))
}

/// Bodies that are not JSON, from which no field can be read.
fn no_json() -> Vec<(&'static str, Vec<u8>)> {
    let good = event("tweet.created", r#","data":{"id":"1"}"#);
    let utf_16 =
        |bytes: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    // Without data, so that it is not a tweet either if a header says so.
    let with_kind = |kind: &[u8]| {
        let written = event("here", "");
        let (before, after) = written.split_once("here").unwrap();
        [before.as_bytes(), kind, after.as_bytes()].concat()
    };
    let mut bodies = vec![
        ("nothing", vec![]),
        ("blanks", b" \t\r\n".to_vec()),
        ("NUL", b"\0".to_vec()),
        ("a byte order mark", format!("\u{feff}{good}").into()),
        ("UTF-16", utf_16(u16::to_be_bytes)),
        ("UTF-16, turned round", utf_16(u16::to_le_bytes)),
        ("an invalid byte", with_kind(b"\xff")),
        ("an overlong slash", with_kind(b"\xc0\xaf")),
        ("an encoded surrogate", with_kind(b"\xed\xa0\x80")),
        ("beyond Unicode", with_kind(b"\xf4\x90\x80\x80")),
        ("a cut character", with_kind(b"\xe2\x82")),
        ("half an escape", with_kind(br"\u00")),
        ("an unknown escape", with_kind(br"\x41")),
        ("a control character", with_kind(b"a\x01b")),
        ("a newline in a string", with_kind(b"a\nb")),
        ("cut", good.as_bytes()[..good.len() - 1].to_vec()),
        ("cut in a string", b"{\"event\":\"tweet.cre".to_vec()),
        ("two of it", format!("{good}{good}").into()),
        ("a word after it", format!("{good} x").into()),
        ("a bracket after it", format!("{good}}}").into()),
        ("NUL after it", format!("{good}\0").into()),
        ("a trailing comma", format!("{},}}", &good[..good.len() - 1]).into()),
        ("single quotes", good.replace('"', "'").into()),
        ("a comment", format!("/* */{good}").into()),
        ("no quotes", b"{event:1}".to_vec()),
        ("NaN", b"{\"timestamp\":NaN}".to_vec()),
        ("a form", b"payload=%7B%7D".to_vec()),
        ("XML", b"<?xml version=\"1.0\"?><event/>".to_vec()),
    ];
    for (what, text) in [
        ("500,000 brackets", "[".repeat(500_000)),
        ("20,000 objects", "{\"a\":".repeat(20_000)),
        ("brackets of both kinds", "[{\"a\":".repeat(20_000)),
        ("brackets in a field", format!("{{\"event\":{}", "[".repeat(100_000))),
        ("1 MB of zeros", "0,".repeat(524_288)),
        ("100 kB of zeros in brackets", format!("[{}", "0,".repeat(50_000))),
        ("100 kB of quotes", "\"".repeat(99_999)),
        ("100 kB of backslashes", format!("\"{}", "\\".repeat(99_999))),
    ] {
        bodies.push((what, text.into()));
    }
    bodies
}

async fn a_body_that_is_not_json_is_refused_with_a_proper_answer<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for (what, body) in no_json() {
        // It contains no readable timestamp.
        assert_eq!(typed.status(&Raw::scrapest(body.clone())).await, 401, "{what}");
        assert_eq!(typed.status(&Raw::badger(body.clone())).await, 401, "{what}");
        assert_eq!(typed.status(&Raw::badger_2(body.clone())).await, 401, "{what}");
        // With a timestamp in the header, the handler refuses it; none of these is an unknown event.
        let dated = Raw::scrapest_at(now(), body);
        assert_eq!(typed.status(&dated).await, 422, "{what}");
        let called = dated.with("x-scrapest-event", "tweet.created");
        assert_eq!(typed.status(&called).await, 422, "{what}, called a tweet");
    }
}

async fn json_that_is_not_an_object_is_an_event_without_a_kind<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for body in
        ["null", "true", "0", "-1.5e3", "\"x\"", "[]", "[{\"event\":\"tweet.created\"}]", "1e400"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                "9".repeat(100_000),
                format!("\"{}\"", "x".repeat(1_000_000)),
                format!("[{}0]", "0,".repeat(500_000)),
                deep("[", "]", 500_000),
            ])
    {
        assert_eq!(typed.status(&Raw::scrapest(body.clone())).await, 401, "{body:.50}");
        assert_eq!(typed.status(&Raw::badger(body.clone())).await, 401, "{body:.50}");
        let dated = Raw::scrapest_at(now(), body.clone());
        assert_eq!(typed.status(&dated).await, 200, "{body:.50}");
        let delivery = typed
            .handler
            .deliveries()
            .into_iter()
            .rev()
            .find(|d| d.body() == body.as_bytes())
            .unwrap();
        let scrapest::Event::Unknown(event) = scrapest::Event::try_from(&delivery).unwrap() else {
            panic!("{body:.50} is known");
        };
        assert_eq!((event.kind, &event.raw), (None, delivery.body()));
        // It is not a tweet, whatever an unsigned header says.
        assert_eq!(
            typed.status(&dated.with("x-scrapest-event", "tweet.created")).await,
            200,
            "a duplicate"
        );
        let tweet =
            Raw::scrapest_at(now(), format!("{body} ")).with("x-scrapest-event", "tweet.created");
        assert_eq!(typed.status(&tweet).await, 422, "{body:.50}");
    }
}

/// The body has no readable signed time, or cannot be decoded, so it never succeeds.
async fn an_object_with_a_field_that_cannot_be_read_is_refused<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for body in [
        r#"{"event":"tweet.created","timestamp":1e400,"data":{"id":"1"}}"#,
        r#"{"event":"tweet.created","timestamp":"\ud800","data":{"id":"1"}}"#,
        r#"{"event":"tweet.created","timestamp":1,"timestamp":2,"data":{"id":"1"}}"#,
    ] {
        assert_eq!(typed.status(&Raw::scrapest_at(now(), body)).await, 401, "{body}");
    }
    for body in [
        r#"{"event":"tweet.created","id":"\udc00"}"#.into(),
        r#"{"event":"tweet.created","event":"user.updated","data":{"id":"1"}}"#.into(),
        r#"{"event":"tweet.created","data":{"id":"1"},"event":"mention.created"}"#.into(),
        r#"{"event":"mention.created","event":"tweet.created"}"#.into(),
        r#"{"event":"mention.created","id":"1","data":{},"id":"2"}"#.into(),
        r#"{"source":"x","source":"y","mid":"1","payload":{}}"#.into(),
        r#"{"source":"telegram","mid":"1","payload":{},"mid":"2"}"#.into(),
        b"{\"event\":\"tweet.created\xff\",\"data\":{\"id\":\"1\"}}".to_vec(),
        b"{\"event\xff\":\"tweet.created\",\"data\":{\"id\":\"1\"}}".to_vec(),
        format!(r#" {{"event":"tweet.created","id":{}}}"#, "9".repeat(400)).into(),
    ] {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(typed.status(&Raw::scrapest_at(now(), body)).await, 422, "{text}");
    }
}

/// A lone surrogate is half of an emoji that the sender truncated, and no reason to lose the event.
async fn a_lone_surrogate_is_read_as_the_replacement_character<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    for surrogate in [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\uD83D\uD83D"] {
        let text =
            format!(r#","data":{{"id":"1","text":"cut {surrogate}","{surrogate}":"{surrogate}"}}"#);
        for request in [
            Raw::scrapest(event("tweet.created", &text)),
            Raw::scrapest(event(&format!("tweet.{surrogate}"), &text)),
            Raw::badger(event("tweet.detected", &text.replace("data", "tweet_data"))),
            Raw::badger(event("test", &text)),
        ] {
            assert_eq!(typed.status(&request).await, 200, "{surrogate}");
            let deliveries = typed.handler.deliveries();
            let delivery = deliveries.iter().rev().find(|d| d.body() == request.body()).unwrap();
            let value: serde_json::Value = delivery.parse().unwrap();
            let data = value.get("data").or(value.get("tweet_data")).unwrap();
            assert!(data["text"].as_str().unwrap().starts_with("cut \u{fffd}"), "{value}");
        }
    }
}

/// Once kind, time and id are known, the layer stops reading, and the event type refuses the rest.
async fn the_event_type_refuses_an_invalid_rest_of_a_body<F: Framework>() {
    let typed = Typed::serve::<F>().await;
    let bytes = Handler::ok();
    let [scrapest, badger] =
        [F::serve(layer(), bytes.clone()).await, F::serve(badger_layer(), bytes.clone()).await];
    for rest in
        [" ", "}} x", ",", r#","timestamp":0,"detected_at":0}"#, ",\"\u{1}\":[", ",\"data\":{"]
    {
        let (time, n) = (now(), nonce());
        let body = format!(r#"{{"event":"tweet.created","n":{n},"timestamp":{time}{rest}"#);
        let request = Raw::scrapest(body.clone()).with("x-scrapest-delivery-id", n.to_string());
        assert_eq!(typed.status(&request).await, 422, "{body}");
        assert_eq!(scrapest.raw(&request).await.status, 200, "{body}");
        assert_eq!(bytes.deliveries().last().unwrap().body(), body.as_bytes());

        let body =
            format!(r#"{{"type":"tweet","n":{n},"tweet_id":"{n}","detected_at":{time}{rest}"#);
        let request = Raw::badger(body.clone());
        assert_eq!(typed.status(&request).await, 422, "{body}");
        assert_eq!(badger.raw(&request).await.status, 200, "{body}");
        assert_eq!(bytes.deliveries().last().unwrap().body(), body.as_bytes());
    }
}

async fn a_body_without_a_time_or_an_id_is_read_to_its_end<F: Framework>() {
    let handler = Handler::ok();
    let [scrapest, badger] =
        [F::serve(layer(), handler.clone()).await, F::serve(badger_layer(), handler.clone()).await];
    let time = now();
    // With two kinds it is unknown which one counts.
    let body = format!(r#"{{"type":"test","detected_at":{time},"type":"tweet","n":{}}}"#, nonce());
    assert_eq!(badger.raw(&Raw::badger(body)).await.status, 200);
    assert_eq!(handler.deliveries().last().unwrap().kind(), None);
    let body = format!(r#"{{"event":"verification","timestamp":{time},"event":"a","token":"t"}}"#);
    let request = Raw::scrapest(body).with("x-scrapest-delivery-id", "known");
    assert_eq!(scrapest.raw(&request).await.text(), "");
    // The value of a challenge may come last.
    let body = format!(r#"{{"event":"verification","timestamp":{time},"token":"t"}}"#);
    let request = Raw::scrapest(body).with("x-scrapest-delivery-id", "another");
    assert_eq!(scrapest.raw(&request).await.text(), r#"{"token":"t"}"#);
    // So may an id that is in no header.
    let runs = handler.runs();
    for n in [nonce(), nonce()] {
        let body = format!(r#"{{"event":"e","timestamp":{time},"n":{n},"delivery_id":"del_1"}}"#);
        assert_eq!(scrapest.raw(&Raw::scrapest(body)).await.status, 200);
    }
    assert_eq!(handler.runs(), runs + 1);
}

support::for_each_framework! {
    a_lone_surrogate_is_read_as_the_replacement_character,
    the_event_type_refuses_an_invalid_rest_of_a_body,
    a_body_without_a_time_or_an_id_is_read_to_its_end,
    a_body_that_is_not_json_is_refused_with_a_proper_answer,
    json_that_is_not_an_object_is_an_event_without_a_kind,
    an_object_with_a_field_that_cannot_be_read_is_refused,
}
