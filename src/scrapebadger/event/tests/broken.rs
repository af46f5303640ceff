//! Bodies that are not an event, and unusual values in bodies that are.

use super::*;

#[test]
fn a_known_kind_with_a_broken_payload_is_an_error_with_the_path() {
    for (body, expected) in [
        ("{}", "tweet or tweet_data: missing field"),
        (r#"{"tweet": null}"#, "tweet or tweet_data: missing field"),
        (r#"{"tweet": {}}"#, "tweet.id: missing field"),
        (r#"{"tweet": {"id": null}}"#, "tweet.id: missing field"),
        (r#"{"tweet_id": "1", "tweet_data": {}}"#, "tweet_data.id: missing field"),
        (r#"{"tweet": ["1"]}"#, "tweet: invalid type: sequence, expected an object"),
        (r#"{"tweet": {"id": {}}}"#, "tweet.id: invalid type: map, expected an id"),
        (r#"{"tweet": {"id": 1, "id": 2}}"#, "tweet: duplicate field `id`"),
        (r#"{"tweet": {"id": 1, "media": {}}}"#, "tweet.media: invalid type: map"),
        (
            r#"{"tweet": {"id": 1, "media": [{"a": 1e400}]}}"#,
            "tweet.media[0].a: number out of range",
        ),
        (
            r#"{"tweet": {"id": 1, "user": ["1"]}}"#,
            "tweet.user: invalid type: sequence, expected an object",
        ),
        (
            r#"{"tweet": {"id": 1}, "type": "tweet", "type": "test"}"#,
            "body: duplicate field `type`",
        ),
        (r#"{"tweet": {"id": 1, "text": 5}}"#, "tweet.text: invalid type: integer"),
        ("[]", "body: invalid type: sequence, expected an object"),
    ] {
        let error = error(body);
        assert!(error.starts_with(expected), "{body}: {error}");
    }
}

#[test]
fn hostile_json_is_an_error_and_never_unknown() {
    let deep_list = format!(r#"{{"tweet": {{"id": 1, "media": {}"#, "[".repeat(500_000));
    let bodies: [&[u8]; 11] = [
        b"",
        b" ",
        b"null",
        b"\xef\xbb\xbf{\"tweet\": {\"id\": \"1\"}}",
        b"{\"tweet\": {\"id\": \"1\"}} x",
        b"{\"tweet\": {\"id\": \"1\"}}{}",
        b"{\"tweet\": {\"id\": \"1\"}",
        b"{\"tweet\": {\"id\": \"\xff\"}}",
        &b"[".repeat(500_000),
        &b"0,".repeat(500_000),
        deep_list.as_bytes(),
    ];
    for body in bodies {
        assert!(!error(Bytes::copy_from_slice(body)).is_empty());
    }
}

#[test]
fn an_unknown_field_is_skipped_with_any_value() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for odd in ["1e400", r#""\ud800""#, &"9".repeat(100_000), &deep] {
        let body = format!(r#"{{"odd": {odd}, "tweet": {{"id": "1", "odd": {odd}}}}}"#);
        assert_eq!(tweet_event(TWEET, body).tweet.id, "1", "{odd:.40}");
    }
}

#[test]
fn an_optional_count_or_time_that_cannot_be_read_is_absent() {
    for odd in ["1.5", "1e400", r#""many""#, r#""\ud800""#, "[]", r#"{"a": []}"#, "true"] {
        let body = format!(
            r#"{{"detected_at": {odd}, "latency_ms": {odd}, "tweet": {{"id": 1, "created_at": {odd},
                "reply_count": {odd}}}}}"#
        );
        let event = tweet_event(TWEET, body);
        assert_eq!((event.detected_at, event.latency_ms), (None, None), "{odd}");
        assert_eq!((event.tweet.created_at, event.tweet.reply_count), (None, None), "{odd}");
    }
    let event = tweet_event(
        TWEET,
        r#"{"latency_ms": "-850", "tweet": {"id": 1, "created_at": "", "reply_count": 3.0}}"#,
    );
    assert_eq!((event.latency_ms, event.tweet.reply_count), (Some(-850), Some(3)));
    assert_eq!(event.tweet.created_at, None);
}
