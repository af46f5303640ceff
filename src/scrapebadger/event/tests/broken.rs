//! Bodies that are no event, and what may be odd in one that is.

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
        (r#"{"tweet": {"id": 1, "reply_count": -1}}"#, "tweet.reply_count: invalid value"),
        (
            r#"{"detected_at": 1e9, "tweet": {"id": 1}}"#,
            "detected_at: invalid type: floating point",
        ),
        (
            r#"{"detected_at": "2026-03-04T12:00:00", "tweet": {"id": 1}}"#,
            "detected_at: invalid value",
        ),
        (r#"{"latency_ms": 0.5, "tweet": {"id": 1}}"#, "latency_ms: invalid type"),
        ("[]", "body: invalid type: sequence, expected an object"),
    ] {
        let error = error(body);
        assert!(error.starts_with(expected), "{body}: {error}");
    }
}

#[test]
fn hostile_json_is_an_error_and_never_unknown() {
    let deep_list = format!(r#"{{"tweet": {{"id": 1, "media": {}"#, "[".repeat(500_000));
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"\xef\xbb\xbf{\"tweet\": {\"id\": \"1\"}}",
        b"{\"tweet\": {\"id\": \"1\"}} x",
        b"{\"tweet\": {\"id\": \"1\"}}{}",
        b"{\"tweet\": {\"id\": \"1\"}",
        b"{\"tweet\": {\"id\": \"\xff\"}}",
        br#"{"tweet": {"id": "\ud800"}}"#,
        &b"[".repeat(500_000),
        &b"0,".repeat(500_000),
        deep_list.as_bytes(),
    ];
    for body in bodies {
        assert!(!error(Bytes::copy_from_slice(body)).is_empty());
    }
}

#[test]
fn what_is_not_known_is_skipped_however_odd() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for odd in ["1e400", r#""\ud800""#, &"9".repeat(100_000), &deep] {
        let body = format!(r#"{{"odd": {odd}, "tweet": {{"id": "1", "odd": {odd}}}}}"#);
        assert_eq!(tweet_event(TWEET, body).tweet.id, "1", "{odd:.40}");
    }
}
