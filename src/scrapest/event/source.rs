//! Scrapest's second generation of events, which has one format for every platform.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::Event;
use crate::event::EventError;
use crate::json::{self, Field, Members, RawJson};

pub(in crate::scrapest) const X: &str = "x";
pub(in crate::scrapest) const FAST_X: &str = "fast-x";
pub(in crate::scrapest) const TELEGRAM: &str = "telegram";
pub(in crate::scrapest) const DISCORD: &str = "discord";

/// The feed that delivered a post on X.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Source {
    /// `x`: the whole post, with counts, media and entities, some 200 to 500 ms after posting.
    #[serde(rename = "x")]
    X,
    /// `fast-x`: text, author and time, some 50 ms after posting.
    #[serde(rename = "fast-x")]
    FastX,
}

impl Source {
    /// Returns the name as the sender writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X => X,
            Self::FastX => FAST_X,
        }
    }
}

/// A post on X. The same post can arrive twice, through both feeds, with the same [`mid`](Self::mid). Set
/// [`Scrapest::with_deliver`](crate::scrapest::Scrapest::with_deliver) to receive only one of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PostEvent {
    /// The feed (`source`).
    pub source: Source,
    /// The message's id (`mid`). The two feeds use the same one, so it identifies a post only together with
    /// [`source`](Self::source).
    pub mid: String,
    /// The account's id (`sid`).
    pub sid: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The post (`payload`).
    pub post: Post,
}

/// A post on X. Only the id is required.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Post {
    /// The post's id (`id`), exactly. The event's `mid` if the payload has none.
    pub id: String,
    /// The text (`text`).
    pub text: Option<String>,
    /// The text of a long post (`note_tweet_text`). Not documented, but in the sender's SDK.
    pub note_tweet_text: Option<String>,
    /// The time of the post (`created_at`, or `timestamp` from the fast feed), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The language (`lang`), as the sender writes it, like `en`.
    pub lang: Option<String>,
    /// The post's URL (`link`, or `url` from the fast feed). Not documented, but in the sender's SDK.
    pub url: Option<String>,
    /// The author (`author`).
    pub author: Option<PostAuthor>,
    /// The number of likes (`favorite_count`).
    pub favorite_count: Option<u64>,
    /// The number of reposts (`retweet_count`).
    pub retweet_count: Option<u64>,
    /// The number of replies (`reply_count`).
    pub reply_count: Option<u64>,
    /// The number of quotes (`quote_count`).
    pub quote_count: Option<u64>,
    /// The number of bookmarks (`bookmark_count`).
    pub bookmark_count: Option<u64>,
    /// The entities in the text, like links (`entities`), as sent: the schema is not published. An integer beyond
    /// 64 bits is rounded here; the raw body has it exactly.
    pub entities: Option<Value>,
    /// Pictures and videos (`media`), as sent, like [`entities`](Self::entities).
    pub media: Option<Value>,
    /// The conversation's id (`conversation_id`). Not documented, but in the sender's SDK.
    pub conversation_id: Option<String>,
    /// The id of the post that this one replies to (`in_reply_to_status_id`). Not documented, but in the sender's
    /// SDK.
    pub in_reply_to_status_id: Option<String>,
    /// The handle of the author whom this post replies to (`in_reply_to_screen_name`). Not documented, but in the
    /// sender's SDK.
    pub in_reply_to_screen_name: Option<String>,
    /// The post that this one quotes (`quoted_tweet`). Not documented, but in the sender's SDK.
    pub quoted: Option<Box<Post>>,
    /// The post that this one reposts (`retweeted`). Not documented, but in the sender's SDK.
    pub retweeted: Option<Box<Post>>,
    /// Whether this is a repost (`retweeted_tweet`). Not documented, but in the sender's SDK.
    pub is_retweet: Option<bool>,
    /// All other fields, by name. Also a quoted or reposted post that has no id or is not an object.
    #[serde(default)]
    pub rest: BTreeMap<String, RawJson>,
}

/// The author of a post. All fields are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PostAuthor {
    /// The account's id (`id`).
    pub id: Option<String>,
    /// The displayed name (`name`).
    pub name: Option<String>,
    /// The handle, without `@` (`screen_name`).
    pub screen_name: Option<String>,
    /// The URL of the picture (`profile_image_url`).
    pub profile_image_url: Option<String>,
    /// Whether the account is verified (`verified`). Not documented, but in the sender's SDK.
    pub verified: Option<bool>,
    /// Whether the account pays for its verification (`is_blue_verified`). Not documented, but in the sender's
    /// SDK.
    pub is_blue_verified: Option<bool>,
    /// All other fields, by name.
    #[serde(default)]
    pub rest: BTreeMap<String, RawJson>,
}

/// A message from Telegram, Discord, or any source but X. The schema of its payload is not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageEvent {
    /// The platform (`source`), like `telegram`.
    pub source: String,
    /// The message's id (`mid`). It identifies a message only together with [`source`](Self::source).
    pub mid: String,
    /// The account's id (`sid`).
    pub sid: Option<String>,
    /// The event's time (`timestamp`), in UTC.
    #[serde(default, with = "rfc3339::option")]
    pub timestamp: Option<OffsetDateTime>,
    /// The payload, as it was sent.
    pub payload: Option<RawJson>,
}

/// The source and the message's id, if the body is of this generation: it has no kind, but a `source` and a `mid`.
/// The id is `None` if it cannot be read.
pub(in crate::scrapest) fn identity(body: &[u8]) -> Option<(String, Option<String>)> {
    let [source, mid, event, kind] =
        json::fields(body, ["source", "mid", "event", "type"], |_| false);
    let names_no_kind = event == Field::Absent && kind == Field::Absent;
    if !names_no_kind || mid == Field::Absent {
        return None;
    }
    Some((source.text()?.into_owned(), mid.id().map(|mid| mid.into_owned())))
}

/// Decodes the event from a body of this generation.
pub(super) fn event(body: &Bytes) -> Result<Event, EventError> {
    read(body).or_else(|error| match json::without_lone_surrogates(body) {
        Some(body) => read(&body.into()),
        None => Err(error),
    })
}

fn read(body: &Bytes) -> Result<Event, EventError> {
    let mut members = Members::of_body(body)?;
    let source = members.text("source")?.ok_or_else(|| EventError::missing("source"))?;
    let mid = members.id("mid")?.ok_or_else(|| EventError::missing("mid"))?;
    let sid = members.id("sid")?;
    let timestamp = members.time("timestamp");
    let feed = match &*source {
        X => Source::X,
        FAST_X => Source::FastX,
        _ => {
            let payload = members.raw("payload").map(|json| RawJson::of(body, json.get()));
            return Ok(Event::Message(MessageEvent { source, mid, sid, timestamp, payload }));
        }
    };
    let payload = members.object("payload")?.ok_or_else(|| EventError::missing("payload"))?;
    let post = Post::read(payload, Some(&mid), body)?;
    Ok(Event::Post(Box::new(PostEvent { source: feed, mid, sid, timestamp, post })))
}

impl Post {
    fn read(mut post: Members<'_>, mid: Option<&str>, body: &Bytes) -> Result<Self, EventError> {
        let id = post.id("id")?.or_else(|| mid.map(str::to_owned));
        let nested = |post| Self::read(post, None, body).map(Box::new);
        Ok(Self {
            id: id.ok_or_else(|| EventError::missing(&post.path_of("id")))?,
            text: post.text("text")?,
            note_tweet_text: post.text("note_tweet_text")?,
            created_at: post.time("created_at").or_else(|| post.time("timestamp")),
            lang: post.text("lang")?,
            url: either(post.text("link")?, || post.text("url"))?,
            author: post
                .object("author")?
                .map(|author| PostAuthor::read(author, body))
                .transpose()?,
            favorite_count: post.count("favorite_count"),
            retweet_count: post.count("retweet_count"),
            reply_count: post.count("reply_count"),
            quote_count: post.count("quote_count"),
            bookmark_count: post.count("bookmark_count"),
            entities: post.value("entities"),
            media: post.value("media"),
            conversation_id: post.id("conversation_id")?,
            in_reply_to_status_id: post.id("in_reply_to_status_id")?,
            in_reply_to_screen_name: post.text("in_reply_to_screen_name")?,
            quoted: post.object_or_rest("quoted_tweet", nested),
            retweeted: post.object_or_rest("retweeted", nested),
            is_retweet: post.flag("retweeted_tweet"),
            rest: post.rest(body),
        })
    }
}

/// The first field, or the second if the first is missing. The second is then not part of the rest.
fn either<T>(
    first: Option<T>,
    second: impl FnOnce() -> Result<Option<T>, EventError>,
) -> Result<Option<T>, EventError> {
    match first {
        Some(first) => Ok(Some(first)),
        None => second(),
    }
}

impl PostAuthor {
    fn read(mut author: Members<'_>, body: &Bytes) -> Result<Self, EventError> {
        Ok(Self {
            id: author.id("id")?,
            name: author.text("name")?,
            screen_name: author.text("screen_name")?,
            profile_image_url: author.text("profile_image_url")?,
            verified: author.flag("verified"),
            is_blue_verified: author.flag("is_blue_verified"),
            rest: author.rest(body),
        })
    }
}
