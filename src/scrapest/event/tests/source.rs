//! Posts and messages: the second generation.

use std::collections::BTreeMap;

use super::*;
use crate::scrapest::{PostAuthor, Source};

fn post(body: impl Into<Bytes>) -> PostEvent {
    match Event::from_body(None, &body.into()) {
        Ok(Event::Post(event)) => *event,
        other => panic!("{other:?}"),
    }
}

fn x(payload: &str) -> String {
    format!(r#"{{"mid": "7", "source": "x", "timestamp": 1712072400000, "payload": {payload}}}"#)
}

fn error_of(body: &str) -> String {
    Event::from_body(Some("x"), &body.to_owned().into()).unwrap_err().to_string()
}

#[test]
fn a_whole_post_is_read_with_every_documented_field() {
    let event = post(fixture!("scrapest-source-event-x"));
    assert_eq!((event.source, &*event.mid), (Source::X, "1886493083207827456"));
    assert_eq!(event.sid, text("44196397"));
    assert_eq!(event.timestamp, Some(datetime!(2024-04-02 15:40:00 UTC)));
    let expected = Post {
        id: "1886493083207827456".to_owned(),
        text: text("Just announced: our new model"),
        note_tweet_text: None,
        created_at: Some(datetime!(2024-04-02 15:40:00 UTC)),
        lang: text("en"),
        url: text("https://x.com/elonmusk/status/1886493083207827456"),
        author: Some(PostAuthor {
            id: text("44196397"),
            name: text("Elon Musk"),
            screen_name: text("elonmusk"),
            profile_image_url: text("https://pbs.twimg.com/profile_images/1/a.jpg"),
            verified: Some(false),
            is_blue_verified: Some(true),
            rest: BTreeMap::new(),
        }),
        favorite_count: Some(15_000),
        retweet_count: Some(3_000),
        reply_count: Some(800),
        quote_count: Some(120),
        bookmark_count: Some(45),
        entities: Some(json!({"hashtags": [], "urls": []})),
        media: Some(json!([])),
        conversation_id: text("1886493083207827456"),
        in_reply_to_status_id: None,
        in_reply_to_screen_name: None,
        quoted: None,
        retweeted: None,
        is_retweet: Some(false),
        rest: BTreeMap::new(),
    };
    assert_eq!(event.post, expected);
}

#[test]
fn a_fast_post_has_text_author_and_time() {
    let body = fixture!("scrapest-source-event-fast-x");
    for kind in [None, Some("fast-x")] {
        let event = Event::from_body(kind, &body).unwrap();
        assert_eq!(event.kind(), Some("fast-x"));
        assert_eq!(event.post().unwrap().id, "1886493083207827456");
    }
    let event = post(body);
    assert_eq!(event.source, Source::FastX);
    assert_eq!(event.post.created_at, Some(datetime!(2024-04-02 15:39:59.750 UTC)));
    assert_eq!(event.post.url, text("https://x.com/elonmusk/status/1886493083207827456"));
    assert_eq!(event.post.author.unwrap().screen_name, text("elonmusk"));
    let rest: Vec<_> =
        event.post.rest.iter().map(|(name, json)| (&**name, json.as_bytes())).collect();
    assert_eq!(rest, [("transport", &Bytes::from_static(br#""fcm""#))]);
}

#[test]
fn a_message_keeps_its_payload_byte_for_byte() {
    let body = fixture!("scrapest-source-event-telegram");
    let event = Event::from_body(Some("telegram"), &body).unwrap();
    assert_eq!((event.kind(), event.post()), (Some("telegram"), None));
    let Event::Message(event) = event else { panic!("{event:?}") };
    assert_eq!((&*event.mid, event.sid), ("48213", text("-1001234567890")));
    let payload = event.payload.unwrap();
    assert_eq!(
        &payload.as_bytes()[..],
        br#"{"text":"GM","views":1e3,"big":123456789012345678901234567890}"#
    );
    assert_eq!(payload.parse::<Value>().unwrap()["text"], "GM");
    assert_eq!(format!("{payload:?}"), "RawJson(62 bytes)");

    let event = Event::from_body(None, &fixture!("scrapest-source-event-discord")).unwrap();
    assert_eq!(event.kind(), Some("discord"));
    let other = br#"{"source": "mastodon", "mid": 1, "payload": "\ud83d"}"#;
    let Ok(Event::Message(event)) = Event::from_body(None, &other[..].into()) else { panic!() };
    assert_eq!(event.payload.unwrap().parse::<String>().unwrap(), "\u{fffd}");
}

#[test]
fn quoted_and_reposted_posts_are_posts() {
    let event = post(x(
        r#"{"id": 1, "quoted_tweet": {"id": 2, "quoted_tweet": {"id": "3", "text": "\ud83d"}},
            "retweeted": {"id": 4, "favorite_count": "5"}, "retweeted_tweet": true, "note_tweet_text": "long"}"#,
    ));
    let quoted = event.post.quoted.unwrap();
    assert_eq!((&*quoted.id, &*quoted.quoted.as_ref().unwrap().id), ("2", "3"));
    assert_eq!(quoted.quoted.unwrap().text, text("\u{fffd}"));
    assert_eq!(event.post.retweeted.unwrap().favorite_count, Some(5));
    assert_eq!((event.post.is_retweet, event.post.note_tweet_text), (Some(true), text("long")));
    // These fields may contain something else.
    let event = post(x(r#"{"id": 1, "retweeted": false, "quoted_tweet": {"text": "a"}}"#));
    let rest: Vec<_> = event.post.rest.keys().collect();
    assert_eq!(rest, ["quoted_tweet", "retweeted"]);
    assert_eq!((event.post.quoted, event.post.retweeted), (None, None));
}

#[test]
fn a_post_needs_only_a_source_and_an_id() {
    let event = post(x("{}"));
    assert_eq!((&*event.post.id, event.post.text), ("7", None));
    let nulls =
        x(r#"{"id": null, "text": null, "author": null, "entities": null, "quoted_tweet": null}"#);
    assert_eq!(post(nulls).post, post(x("{}")).post);
    let odd = post(x(
        r#"{"id": 1, "created_at": "", "favorite_count": 1e400, "entities": [1e400], "author": {"verified": 1}}"#,
    ));
    assert_eq!(
        (odd.post.created_at, odd.post.favorite_count, odd.post.entities),
        (None, None, None)
    );
    let rest: Vec<_> = odd.post.rest.keys().collect();
    assert_eq!(rest, ["entities"], "cannot be a value, and stays as it is");
}

#[test]
fn a_broken_post_is_an_error_with_the_path() {
    for (body, expected) in [
        (r#"{"source": "x", "mid": 1}"#, "payload: missing field"),
        (r#"{"source": "x", "mid": 1, "payload": []}"#, "payload: invalid type: sequence"),
        (r#"{"source": "x", "mid": 1.5, "payload": {}}"#, "mid: invalid type: floating point"),
        (r#"{"source": "x", "mid": 1, "mid": 2, "payload": {}}"#, "body: duplicate field `mid`"),
        (&x(r#"{"id": 1.5}"#), "payload.id: invalid type: floating point"),
        (&x(r#"{"text": 5}"#), "payload.text: invalid type: integer `5`"),
        (&x(r#"{"text": "a", "text": "b"}"#), "payload: duplicate field `text`"),
        (&x(r#"{"author": {"id": []}}"#), "payload.author.id: invalid type: sequence"),
    ] {
        let error = error_of(body);
        assert!(error.starts_with(expected), "{body}: {error}");
    }
}

#[test]
fn generations_are_distinguished_by_the_body() {
    for body in [
        r#"{"event": "x", "source": "x", "mid": 1, "payload": {}}"#,
        r#"{"type": "x", "source": "x", "mid": 1, "payload": {}}"#,
        r#"{"source": "x", "payload": {}}"#,
        r#"{"mid": 1, "payload": {}}"#,
        r#"{"source": 5, "mid": 1, "payload": {}}"#,
        r#"{"data": {"source": "x", "mid": 1}}"#,
    ] {
        for kind in [None, Some("x")] {
            let event = Event::from_body(kind, &body.to_owned().into()).unwrap();
            assert!(matches!(event, Event::Unknown(_)), "{body}: {event:?}");
        }
    }
    let named = r#"{"event": "tweet.created", "source": "x", "mid": 1, "data": {"id": 1}}"#;
    assert!(matches!(read(TWEET_CREATED, named), Ok(Event::TweetCreated(_))));
}

#[test]
fn posts_and_messages_round_trip_through_json() {
    let quoting = x(r#"{"id": 1, "quoted_tweet": {"id": 2, "odd": 1e400}, "more": [1, "é"]}"#);
    for body in [
        fixture!("scrapest-source-event-x"),
        fixture!("scrapest-source-event-telegram"),
        quoting.into(),
    ] {
        let event = Event::from_body(None, &body).unwrap();
        let stored = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), event, "{stored}");
    }
}
