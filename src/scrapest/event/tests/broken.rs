//! Bodies that are no event, and what may be odd in one that is.

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
            r#"{"data": {"id": 1, "user": {"verified": 1}}}"#,
            "data.user.verified: invalid type",
        ),
        (
            TWEET_CREATED,
            r#"{"data": {"id": 1, "metrics": {"likes": -1}}}"#,
            "data.metrics.likes: invalid value",
        ),
        (
            TWEET_CREATED,
            r#"{"data": {"id": 1, "created_at": "now"}}"#,
            "data.created_at: invalid value",
        ),
        (
            TWEET_CREATED,
            r#"{"timestamp": 1e9, "data": {"id": 1}}"#,
            "timestamp: invalid type: floating point",
        ),
        (DELIVERY_FAILED, r#"{"data": {"attempts": "6"}}"#, "data.attempts: invalid type"),
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
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"null",
        b"\xef\xbb\xbf{\"data\": {\"id\": \"1\"}}",
        b"{\"data\": {\"id\": \"1\"}} x",
        b"{\"data\": {\"id\": \"1\"}}{}",
        b"{\"data\": {\"id\": \"1\"}",
        b"{\"data\": {\"id\": \"\xff\"}}",
        br#"{"data": {"id": "\ud800"}}"#,
        deep.as_bytes(),
        zeros.as_bytes(),
        nested.as_bytes(),
    ];
    for body in bodies {
        for kind in [TWEET_CREATED, TWEET_UPDATED, USER_UPDATED, DELIVERY_FAILED, WEBHOOK_VERIFIED]
        {
            // The webhook kinds have no id to be broken.
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
fn what_is_not_known_is_skipped_however_odd() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for odd in ["1e400", r#""\ud800""#, &"9".repeat(100_000), &deep] {
        let body = format!(
            r#"{{"odd": {odd}, "data": {{"tweet": {{"id": "1", "odd": {odd}, "tweet": {odd}}}}}}}"#
        );
        let event = read(TWEET_CREATED, body).unwrap();
        assert_eq!(event.tweet().unwrap().id, "1", "{odd:.40}");
    }
}
