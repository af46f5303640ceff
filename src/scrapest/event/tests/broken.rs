//! Bodies that are not an event, and unusual values in bodies that are.

use super::*;

#[test]
fn a_known_kind_with_a_broken_payload_is_an_error_with_the_path() {
    for (kind, body, expected) in [
        (TWEET_CREATED, "{}", "data: missing field"),
        (TWEET_CREATED, r#"{"data": null}"#, "data: missing field"),
        (TWEET_CREATED, r#"{"data": {}}"#, "data.id: missing field"),
        (TWEET_CREATED, r#"{"data": {"id": null}}"#, "data.id: missing field"),
        (TWEET_UPDATED, r#"{"data": {"id": 1, "tweet": {}}}"#, "data.tweet.id: missing field"),
        (USER_UPDATED, r#"{"data": {}}"#, "data.id: missing field"),
        (USER_UPDATED, r#"{"data": {"user": {}}}"#, "data.user.id: missing field"),
        (TWEET_CREATED, r#"{"data": []}"#, "data: invalid type: sequence, expected an object"),
        (TWEET_CREATED, r#"{"data": ["1"]}"#, "data: invalid type: sequence, expected an object"),
        (
            TWEET_CREATED,
            r#"{"data": "1"}"#,
            r#"data: invalid type: string "1", expected an object"#,
        ),
        (
            TWEET_CREATED,
            r#"{"data": {"tweet": {"id": []}}}"#,
            "data.tweet.id: invalid type: sequence",
        ),
        (TWEET_CREATED, r#"{"data": {"id": 1, "id": 2}}"#, "data: duplicate field `id`"),
        (
            TWEET_CREATED,
            r#"{"data": {"id": 1}, "data": {"id": 2}}"#,
            "body: duplicate field `data`",
        ),
        (TWEET_CREATED, r#"{"event": "a", "data": {"id": 1}, "event": "b"}"#, "body: duplicate"),
        (
            TWEET_CREATED,
            r#"{"type": "a", "data": {"id": 1}, "type": "b"}"#,
            "body: duplicate field `type`",
        ),
        (TWEET_CREATED, r#"{"id": 1, "data": {"id": 1}, "id": 2}"#, "body: duplicate field `id`"),
        (
            TWEET_CREATED,
            r#"{"delivery_id": 1, "data": {"id": 1}, "delivery_id": 2}"#,
            "body: duplicate field `delivery_id`",
        ),
        (TWEET_CREATED, r#"{"data": {"id": 1, "text": 5}}"#, "data.text: invalid type: integer"),
        (WEBHOOK_VERIFIED, r#"{"data": [1]}"#, "data: invalid type: sequence"),
        (WEBHOOK_VERIFIED, "[]", "body: invalid type: sequence, expected an object"),
    ] {
        let error = error(kind, body);
        assert!(error.starts_with(expected), "{body}: {error}");
    }
}

#[test]
fn hostile_json_is_an_error_and_never_unknown() {
    let deep = "[".repeat(500_000);
    let zeros = "0,".repeat(500_000);
    let nested = format!("{}1", r#"{"data": {"tweet": "#.repeat(10_000));
    let bodies: [&[u8]; 11] = [
        b"",
        b" ",
        b"null",
        b"\xef\xbb\xbf{\"data\": {\"id\": \"1\"}}",
        b"{\"data\": {\"id\": \"1\"}} x",
        b"{\"data\": {\"id\": \"1\"}}{}",
        b"{\"data\": {\"id\": \"1\"}",
        b"{\"data\": {\"id\": \"\xff\"}}",
        deep.as_bytes(),
        zeros.as_bytes(),
        nested.as_bytes(),
    ];
    for body in bodies {
        for kind in [TWEET_CREATED, TWEET_UPDATED, USER_UPDATED, DELIVERY_FAILED, WEBHOOK_VERIFIED]
        {
            // The webhook kinds have no id that could be broken.
            if kind.starts_with("webhook.")
                && body.starts_with(b"{\"data\": {\"id\"")
                && body.ends_with(b"}}")
            {
                continue;
            }
            assert!(!error(kind, Bytes::copy_from_slice(body)).is_empty());
        }
    }
}

#[test]
fn an_unknown_field_is_skipped_with_any_value() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for odd in ["1e400", r#""\ud800""#, &"9".repeat(100_000), &deep] {
        let body = format!(
            r#"{{"odd": {odd}, "data": {{"tweet": {{"id": "1", "odd": {odd}, "tweet": {odd}}}}}}}"#
        );
        let event = read(TWEET_CREATED, body).unwrap();
        assert_eq!(event.tweet().unwrap().id, "1", "{odd:.40}");
    }
}

#[test]
fn an_optional_count_time_or_flag_that_cannot_be_read_is_absent() {
    let digits = "9".repeat(400);
    for odd in ["-1", "1.5", "1e400", &digits, r#""many""#, r#""\ud800""#, "[]", r#"{"a": []}"#] {
        let body = format!(
            r#"{{"timestamp": {odd}, "data": {{"id": 1, "created_at": {odd}, "favorite_count": {odd},
                "metrics": {{"likes": 7}}, "user": {{"verified": {odd}, "followers_count": {odd}}}}}}}"#
        );
        let Ok(Event::TweetCreated(event)) = read(TWEET_CREATED, body) else { panic!("{odd}") };
        let author = event.tweet.author.unwrap();
        assert_eq!((author.verified, author.followers_count), (None, None), "{odd}");
        assert_eq!(event.tweet.favorite_count, Some(7), "{odd}");
        // `-1` is valid: one second before 1970.
        if odd != "-1" {
            assert_eq!((event.timestamp, event.tweet.created_at), (None, None), "{odd}");
        }
    }
    let tweet = created(json!({"data": {
        "id": 1, "created_at": "", "favorite_count": 12.0, "reply_count": "12", "quote_count": -0.0,
    }}));
    assert_eq!((tweet.created_at, tweet.favorite_count), (None, Some(12)));
    assert_eq!((tweet.reply_count, tweet.quote_count), (Some(12), Some(0)));
}

#[test]
fn a_lone_surrogate_in_a_text_does_not_invalidate_the_event() {
    let body = r#"{"data": {"id": "1", "text": "cut \ud83d", "media": [{"alt": "\ude00"}]}}"#;
    let event = read(TWEET_CREATED, body).unwrap();
    let tweet = event.tweet().unwrap();
    assert_eq!(tweet.text.as_deref(), Some("cut \u{fffd}"));
    assert_eq!(tweet.media, Some(json!([{"alt": "\u{fffd}"}])));
}

#[test]
fn a_repeated_field_with_equal_values_has_that_value() {
    let body = r#"{"event": "tweet.created", "data": {"id": "1", "text": "a", "text": "\u0061", "id": 1},
        "event": "tweet.created", "data": {"id": "1", "text": "a"}}"#;
    assert_eq!(read(TWEET_CREATED, body).unwrap().tweet().unwrap().text.as_deref(), Some("a"));
}
