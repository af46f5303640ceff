//! Values that are not timestamps, in every place where a timestamp is expected: each gets a 401, and none causes a
//! panic.

mod hostile;

use scrapest_webhook::{MemoryStore, Provider, WebhookLayer};
use support::{Framework, Handler, Raw, Server, badger_layer, layer, nonce};
use time::OffsetDateTime;
use time::macros::datetime;

use self::hostile::hostile_texts;

const NOON: OffsetDateTime = datetime!(2026-03-04 12:00:00 UTC);

/// Serves a layer whose clock always shows noon, with a store that the test can inspect.
async fn serve<F: Framework, P: Provider>(
    layer: WebhookLayer<P>,
    store: &MemoryStore,
    handler: &Handler,
) -> Server {
    F::serve(layer.with_store(store.clone()).with_clock(|| NOON.into()), handler.clone()).await
}

/// `{"timestamp": <value>, "detected_at": <value>}` with a new number.
fn body(value: &str) -> String {
    format!(r#"{{"type":"e","n":{},"timestamp":{value},"detected_at":{value}}}"#, nonce())
}

async fn a_header_that_is_not_a_time_is_refused_signed_or_not<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let server = serve::<F, _>(layer(), &store, &handler).await;
    let mut values: Vec<Vec<u8>> = hostile_texts()
        .into_iter()
        // A header cannot contain an escape character, and blanks around its value are not part of it.
        .filter(|text| !text.contains('\u{1b}') && text.trim() == text)
        .map(String::into_bytes)
        .collect();
    values.extend([
        vec![0x80],
        b"1772625600\xff".to_vec(),
        vec![0xff; 10_240],
        b"\xc3\x28".to_vec(),
    ]);
    for value in values {
        let good = NOON.unix_timestamp().to_string();
        for request in [
            Raw::scrapest_at(&value, body(&good)),
            Raw::scrapest_at(&value, "{}"),
            Raw::scrapest(body(&good)).with("x-scrapest-timestamp", &value),
            Raw::scrapest(body(&good))
                .with("x-scrapest-timestamp", &value)
                .with("x-scrapest-timestamp", &good),
        ] {
            let status = server.raw(&request).await.status;
            assert_eq!(status, 401, "{:.100}", String::from_utf8_lossy(&value));
        }
    }
    assert!(handler.runs() == 0 && store.is_empty());
}

async fn a_field_that_is_not_a_time_is_refused<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let scrapest = serve::<F, _>(layer(), &store, &handler).await;
    let badger = serve::<F, _>(badger_layer(), &store, &handler).await;
    let good = NOON.unix_timestamp().to_string();
    let mut values = vec![
        "true".to_owned(),
        "false".into(),
        "{}".into(),
        "[]".into(),
        format!("[{good}]"),
        format!("{{\"t\":{good}}}"),
        format!("\"{good}.0\""),
        format!("\" {good}\""),
        "1e400".into(),
        "-1e400".into(),
        "1e9".into(),
        "1772625600.0".into(),
        "1772625600E0".into(),
        "17726256e2".into(),
        "0.5".into(),
        // If a field occurs twice, the first one counts, or neither.
        format!("0,\"timestamp\":{good}"),
        format!("0,\"timest\\u0061mp\":{good}"),
        "0,\"timestamp\":null".into(),
        "\"\\ud800\"".into(),
        "\"\\u0000\"".into(),
        "\"2026-03-04T12:00:00Z\\u0000\"".into(),
        format!("{}{}", "[".repeat(100), "]".repeat(100)),
        format!("\"{}\"", "9".repeat(500_000)),
        "9".repeat(500_000),
        format!("0.{}", "9".repeat(500_000)),
    ];
    for text in hostile_texts() {
        values.push(serde_json::Value::from(text.as_str()).to_string());
        // Also without quotes, as a number if it is one. A value that makes the body invalid JSON is refused as well.
        values.push(text);
    }
    values.retain(|value| !value.trim().is_empty() && value != "null" && value.trim() != good);
    for value in values {
        for (server, request) in [
            (&scrapest, Raw::scrapest(body(&value))),
            (&scrapest, Raw::scrapest_at(&good, body(&value))),
            (&badger, Raw::badger(body(&value))),
            (&badger, Raw::badger_2(body(&value))),
        ] {
            let answer = server.raw(&request).await;
            // A signed header is enough if the body is not JSON: then it has no timestamp at all.
            let undated = request.has("x-scrapest-timestamp") && !is_json(request.body());
            let expected = if undated { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{:.100}", String::from_utf8_lossy(request.body()));
        }
    }
}

/// Accepts any numbers and surrogates.
fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

async fn a_missing_or_null_timestamp_counts_as_missing<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let scrapest = serve::<F, _>(layer(), &store, &handler).await;
    let badger = serve::<F, _>(badger_layer(), &store, &handler).await;
    for body in [
        "{}",
        r#"{"timestamp":null,"detected_at":null}"#,
        r#"{"Timestamp":1772625600,"Detected_At":1772625600}"#,
        r#"{"data":{"timestamp":1772625600,"detected_at":1772625600}}"#,
        "[]",
        "null",
        "1772625600",
        "\"2026-03-04T12:00:00Z\"",
        "",
    ] {
        assert_eq!(scrapest.raw(&Raw::scrapest(body)).await.status, 401, "{body}");
        assert_eq!(badger.raw(&Raw::badger(body)).await.status, 401, "{body}");
        assert_eq!(badger.raw(&Raw::badger_2(body)).await.status, 401, "{body}");
    }
    assert!(handler.runs() == 0 && store.is_empty());
}

async fn the_same_moment_may_be_written_in_many_ways<F: Framework>() {
    let (handler, store) = (Handler::ok(), MemoryStore::new());
    let scrapest = serve::<F, _>(layer(), &store, &handler).await;
    let badger = serve::<F, _>(badger_layer(), &store, &handler).await;
    let numbers = [
        "1772625600",
        "1772625600000",
        "1772625600000000",
        "1772625600000000000",
        "00001772625600",
    ];
    let texts = [
        "2026-03-04T12:00:00Z",
        "2026-03-04t12:00:00z",
        "2026-03-04T12:00:00+00:00",
        "2026-03-04T12:00:00-00:00",
        "2026-03-04T12:00:00+0000",
        "2026-03-04T13:30:00.000+0130",
        "2026-03-04T13:30:00+01:30",
        "2026-03-03T12:01:00-23:59",
        "2026-03-05T11:59:00+23:59",
        "2026-03-04T12:00:00.0Z",
        "2026-03-04T12:00:00.000Z",
        "2026-03-04T12:00:00.000000+00:00",
        "2026-03-04T12:00:00.000000000Z",
        "2026-03-04T12:00:00.000000000000Z",
    ];
    for text in numbers.into_iter().chain(texts) {
        for request in [
            Raw::scrapest_at(text, body("null")),
            Raw::scrapest(body("1772625600")).with("x-scrapest-timestamp", text),
        ] {
            assert_eq!(scrapest.raw(&request).await.status, 200, "{text}");
            assert_eq!(handler.deliveries().pop().unwrap().timestamp(), Some(NOON), "{text}");
        }
    }
    // As a JSON number if it has no leading zeros, and always as a string.
    for value in numbers[..4]
        .iter()
        .map(|&number| number.to_owned())
        .chain(numbers.map(|number| format!("\"{number}\"")))
        .chain(texts.map(|text| format!("\"{text}\"")))
    {
        for (server, request) in [
            (&scrapest, Raw::scrapest(body(&value))),
            (&badger, Raw::badger(body(&value))),
            (&badger, Raw::badger_2(body(&value))),
        ] {
            assert_eq!(server.raw(&request).await.status, 200, "{value}");
            assert_eq!(handler.deliveries().pop().unwrap().timestamp(), Some(NOON), "{value}");
        }
    }
}

support::for_each_framework! {
    a_header_that_is_not_a_time_is_refused_signed_or_not,
    a_field_that_is_not_a_time_is_refused,
    a_missing_or_null_timestamp_counts_as_missing,
    the_same_moment_may_be_written_in_many_ways,
}
