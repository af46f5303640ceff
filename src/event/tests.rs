use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct Order {
    #[expect(dead_code, reason = "the tests only inspect the errors")]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    #[expect(dead_code, reason = "the tests only inspect the errors")]
    count: u8,
}

fn error(body: &str) -> String {
    decode::<Order>(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn an_error_names_the_path_of_the_field() {
    assert_eq!(
        error(r#"{"items": [{"count": 1}, {"count": 256}]}"#),
        "items[1].count: invalid value: integer `256`, expected u8 at line 1 column 38"
    );
    assert_eq!(error(r#"{"items": [{}]}"#), "items[0]: missing field `count` at line 1 column 13");
}

#[test]
fn an_error_about_the_whole_body_is_described_as_such() {
    assert_eq!(error(""), "body: EOF while parsing a value at line 1 column 0");
    assert_eq!(error("{}"), "body: missing field `items` at line 1 column 2");
    assert_eq!(error(r#"{"items": []} x"#), "body: trailing characters at line 1 column 15");
    assert_eq!(error("\u{feff}{}"), "body: expected value at line 1 column 1");
}

#[test]
fn only_skipped_values_may_be_invalid_utf_8() {
    assert!(decode::<Order>(b"{\"odd\": \"\xff\", \"items\": []}").is_ok());
    let text = decode::<String>(b"\"\xff\"").unwrap_err().to_string();
    assert_eq!(text, "body: invalid unicode code point at line 1 column 2");
    let names = decode::<Vec<String>>(b"[\"a\", \"\xff\"]").unwrap_err().to_string();
    assert_eq!(names, "[1]: invalid unicode code point at line 1 column 8");
}

#[test]
fn an_error_is_one_short_line_of_printable_ascii() {
    let quoted = error(&format!(r#"{{"items": "\u001b[31m\n{}"}}"#, "é".repeat(1_000_000)));
    assert!((500..=EventError::LONGEST).contains(&quoted.len()), "{}", quoted.len());
    assert!(quoted.starts_with(r#"items: invalid type: string "\u{1b}[31m\n\u{e9}"#), "{quoted}");
    assert!(quoted.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{quoted}");

    let key =
        decode::<std::collections::BTreeMap<String, u8>>("{\"\u{202e}\\n\": null}".as_bytes());
    assert!(key.unwrap_err().to_string().starts_with(r"\u{202e}\n: invalid type: null"));
}

#[test]
fn an_unknown_event_keeps_its_kind_and_its_bytes() {
    let body = Bytes::from_static(b"{\"event\": \"mention.created\", \"count\": 7}");
    let event = UnknownEvent::from_body(Some("mention.created"), &body).unwrap();
    assert_eq!(event.kind.as_deref(), Some("mention.created"));
    assert_eq!(event.raw.as_ptr(), body.as_ptr(), "without a copy");
    assert_eq!(event.parse::<Mention>().unwrap().count, 7);
    assert_eq!(event.parse::<Order>().unwrap_err().kind(), EventErrorKind::Payload);
    assert_eq!(
        format!("{event:?}"),
        r#"UnknownEvent { kind: Some("mention.created"), raw: 40 bytes }"#
    );

    #[derive(Debug, Deserialize)]
    struct Mention {
        count: u8,
    }
}

#[test]
fn a_body_without_a_kind_is_unknown_only_if_it_is_json() {
    for json in ["{}", "[]", "null", r#""tweet""#, " 1e400 ", r#"{"type": 5}"#] {
        let event = UnknownEvent::from_body(None, &json.to_owned().into()).unwrap();
        assert_eq!((event.kind, &event.raw[..]), (None, json.as_bytes()));
    }
    for text in ["", " ", "{", r#"{"type": "tweet", "twe"#, "{} {}", "\u{feff}{}", "hello"] {
        let error = UnknownEvent::from_body(None, &text.to_owned().into()).unwrap_err();
        assert_eq!(error.kind(), EventErrorKind::Payload, "{text}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let open = "[".repeat(500_000);
    let closed = format!("{open}{}", "]".repeat(500_000));
    let nested = format!("{}0{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for body in [&open, &closed, &nested, &"0,".repeat(500_000)] {
        assert!(decode::<Order>(body.as_bytes()).is_err());
        assert!(decode::<serde_json::Value>(body.as_bytes()).is_err());
    }
    let ignored = format!(r#"{{"items": [], "unknown": {closed}}}"#);
    assert!(decode::<Order>(ignored.as_bytes()).is_ok());
    // The error comes after the deeply nested part, so the slower second reading has to skip that as well.
    let ignored = format!(r#"{{"unknown": {closed}, "items": [{nested}]}}"#);
    let error = decode::<Order>(ignored.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("items[0]: missing field `count`"), "{error}");
}

/// The stored form differs from the sent form, but is read back as the same event.
#[test]
fn every_event_round_trips_through_json() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut events = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = Bytes::from(std::fs::read(&path).unwrap());
        let fields: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let kind = fields["event"].as_str().or(fields["type"].as_str());
        match path.file_name().unwrap().to_str().unwrap() {
            name if name.starts_with("scrapest-") => {
                comes_back(crate::scrapest::Event::from_body(kind, &body).unwrap());
            }
            _ => comes_back(crate::scrapebadger::Event::from_body(kind, &body).unwrap()),
        }
        events += 1;
    }
    assert!(events >= 14, "{events} fixtures");
    // A string in an unknown event may contain bytes that are not UTF-8.
    let odd = Bytes::from_static(b"{\"event\": \"mention.created\", \"text\": \"\xff\"}");
    comes_back(crate::scrapest::Event::from_body(Some("mention.created"), &odd).unwrap());
    comes_back(crate::scrapebadger::Event::from_body(Some("test"), &odd).unwrap());
}

fn comes_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug>(
    event: T,
) {
    let stored = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<T>(&stored).unwrap(), event, "{stored}");
    // A queue may parse it into a generic value first.
    let value = serde_json::to_value(&event).unwrap();
    assert_eq!(serde_json::from_value::<T>(value).unwrap(), event);
}

#[test]
fn lone_surrogates_are_replaced_for_every_type() {
    let body = br#"{"a\ud83d": "b\ude00c", "d": ["\ud83d\ude00", "\\ud83d"]}"#;
    let value = decode::<serde_json::Value>(body).unwrap();
    let expected = serde_json::json!({"a\u{fffd}": "b\u{fffd}c", "d": ["\u{1f600}", "\\ud83d"]});
    assert_eq!(value, expected);
    // The position of an error is still found.
    let text = error(r#"{"other": "\ud83d", "items": [{"count": 256}]}"#);
    assert!(text.starts_with("items[0].count: invalid value: integer `256`"), "{text}");
    assert!(text.ends_with("column 43"), "{text}");
}

#[test]
fn an_object_with_contradicting_fields_is_not_an_unknown_event() {
    for kind in [None, Some("mention.created")] {
        let read = |body: &str| UnknownEvent::from_body(kind, &body.to_owned().into());
        assert!(read(r#"{"event": "a", "event": "a", "n": 1.0, "n": 1.0}"#).is_ok());
        assert!(read(r#"{"a\ud83d": 1, "text": "\ud83d", "text": "\ud83d"}"#).is_ok());
        let error = read(r#"{"event": "a", "n": 1, "event": "b"}"#).unwrap_err();
        assert!(error.to_string().starts_with("body: duplicate field `event`"), "{error}");
    }
}

/// Written by `tests/fixtures/python/as_read.py`.
#[test]
fn an_event_has_the_same_ids_texts_and_counts_as_in_python() {
    #[derive(Debug, Deserialize)]
    struct Row {
        body: String,
        outer_id: String,
        id: String,
        text: Option<String>,
        count: Option<u64>,
    }

    let table =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python/as_read.json"));
    let rows: Vec<Row> = serde_json::from_slice(table).unwrap();
    assert!(rows.len() > 160, "{}", rows.len());
    for row in rows {
        let body = Bytes::from(row.body.clone());
        let found = match body.starts_with(b"{\"type\"") {
            true => match crate::scrapebadger::Event::from_body(Some("tweet"), &body) {
                Ok(crate::scrapebadger::Event::Tweet(event)) => {
                    let tweet = event.tweet;
                    (event.tweet_id, tweet.id, tweet.text, tweet.favorite_count)
                }
                other => panic!("{row:?}: {other:?}"),
            },
            false => {
                let kind = body.starts_with(b"{\"event\"").then_some("tweet.created");
                match crate::scrapest::Event::from_body(kind, &body) {
                    Ok(crate::scrapest::Event::TweetCreated(event)) => {
                        let tweet = event.tweet;
                        (event.id, tweet.id, tweet.text, tweet.favorite_count)
                    }
                    Ok(crate::scrapest::Event::Post(event)) => {
                        let post = event.post;
                        (Some(event.mid), post.id, post.text, post.favorite_count)
                    }
                    other => panic!("{row:?}: {other:?}"),
                }
            }
        };
        let expected = (Some(row.outer_id), row.id, row.text, row.count);
        assert_eq!(found, expected, "{}", row.body);
    }
}
