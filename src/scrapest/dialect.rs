//! How Scrapest signs and labels its requests: as documented, and otherwise as the settings say.

use std::borrow::Cow;
use std::time::Duration;

use super::event::source;
use super::settings::{Deliver, Scrapest, SignedContent};
use crate::config_error::ConfigError;
use crate::json::{self, Field};
use crate::provider::{Challenge, Envelope, Headers, Message, Provider, Timestamp, is_header_name};

/// The kinds that a challenge may have. An event of any other kind is never treated as a challenge.
const CHALLENGE_KINDS: [&str; 4] =
    ["webhook.verification", "webhook.verify", "verification", "url_verification"];

impl Scrapest {
    fn challenge(&self, kind: Option<&str>, fields: [Field<'_>; 3]) -> Option<Challenge> {
        if kind.is_some_and(|kind| !CHALLENGE_KINDS.contains(&kind)) {
            return None;
        }
        let (name, field) = self
            .challenge_fields
            .names
            .iter()
            .zip(fields)
            .find(|(_, field)| *field != Field::Absent)?;
        let value = field.text()?;
        match self.plain_challenge {
            true => Challenge::text(&value),
            false => Challenge::json(name, &value),
        }
    }
}

impl Provider for Scrapest {
    fn name(&self) -> &'static str {
        super::SENDER
    }

    fn kinds(&self) -> &'static [&'static str] {
        super::event::KINDS
    }

    fn signature_headers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.signature_header)
    }

    fn signed_prefixes<'a>(&self, headers: Headers<'a>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let body = (self.signed_content != SignedContent::TimestampAndBody)
            .then_some(Cow::Borrowed(&[][..]));
        let timestamp = match self.signed_content {
            SignedContent::Body => None,
            _ => headers.get(&self.timestamp_header),
        };
        // Built only if the signature does not match the body alone.
        let prefix = timestamp.into_iter().map(|time| Cow::Owned([time, b"."].concat()));
        body.into_iter().chain(prefix)
    }

    fn webhook_id<'a>(&self, headers: Headers<'a>) -> Option<&'a [u8]> {
        headers.get(&self.webhook_id_header)
    }

    fn envelope<'a>(&self, message: &Message<'a>) -> Envelope<'a> {
        let header_id = message.header(&self.delivery_id_header).filter(|id| !id.is_empty());
        let [time, id_1, id_2, kind_1, kind_2, challenge @ ..] = json::fields(
            message.body(),
            [
                &self.timestamp_field,
                &self.delivery_id_fields.names[0],
                &self.delivery_id_fields.names[1],
                &self.kind_fields.names[0],
                &self.kind_fields.names[1],
                &self.challenge_fields.names[0],
                &self.challenge_fields.names[1],
                &self.challenge_fields.names[2],
            ],
            // If the kind is not that of a challenge, no more fields are needed.
            |[time, id, _, kind, ..]| {
                *time != Field::Absent
                    && (header_id.is_some() || id.clone().id().is_some())
                    && matches!(kind, Field::Text(kind) if !CHALLENGE_KINDS.contains(&&**kind))
            },
        );
        let header_time = message.header(&self.timestamp_header).map(|value| {
            let at = Timestamp::parse(value);
            match message.is_prefix_signed() {
                true => Timestamp::signed(at),
                false => Timestamp::unsigned(at),
            }
            .of_attempt()
            .with_source(&self.timestamp_header, value)
        });
        let body_time = Timestamp::in_body(message.body(), &self.timestamp_field, &time);
        // A body of the second generation has no kind.
        let source = (kind_1 == Field::Absent && kind_2 == Field::Absent)
            .then(|| source::identity(message.body()))
            .flatten();
        // A kind that cannot be read still counts as a kind.
        let unreadable = [&kind_1, &kind_2].into_iter().any(Field::is_not_text);
        let kind = kind_1.text().or_else(|| kind_2.text());
        let (id, scope) = match (header_id, &source) {
            (Some(id), _) => (Some(Cow::Borrowed(id)), None),
            (None, Some((source, mid))) => (
                mid.as_ref().map(|mid| format!("{source}:{mid}").into_bytes().into()),
                Some(source.clone().into_bytes()),
            ),
            (None, None) => {
                let fields = self.delivery_id_fields.names.iter().zip([id_1, id_2]);
                let found = fields.filter_map(|(name, field)| Some((name, field.id()?))).next();
                let is_bare = found.as_ref().is_some_and(|(name, _)| **name == "id");
                let scope = (is_bare && !self.body_id_alone).then(|| {
                    scope_of_bare_id(kind.as_deref(), body_time.as_ref(), header_time.as_ref())
                });
                (found.map(|(_, id)| bytes_of(id)), scope)
            }
        };
        let source = source.map(|(source, _)| source);
        let filtered = match self.deliver {
            Deliver::Both => false,
            Deliver::FullOnly => source.as_deref() == Some(source::FAST_X),
            Deliver::FastOnly => source.as_deref() == Some(source::X),
        };
        let may_be_challenge = !unreadable && source.is_none();
        // If the body has no kind, a header may name it, which is not signed.
        let kind = kind
            .or(source.map(Cow::Owned))
            .or_else(|| message.header_str(&self.event_header).map(Cow::Borrowed));
        let challenge =
            may_be_challenge.then(|| self.challenge(kind.as_deref(), challenge)).flatten();
        Envelope::new()
            .with_id(id)
            .with_id_scope(scope)
            .with_timestamp(header_time)
            .with_timestamp(body_time)
            .with_insecure_unsigned_timestamp(self.insecure_unsigned_timestamp)
            .with_challenge(challenge)
            .with_filtered(filtered)
            .with_kind(kind)
    }

    fn answers_unsigned_challenge(&self) -> bool {
        self.insecure_unsigned_challenge
    }

    /// Scrapest requires a response within 5 s.
    fn answer_deadline(&self) -> Duration {
        Duration::from_secs(4)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (setting, name) in [
            ("signature_header", &self.signature_header),
            ("timestamp_header", &self.timestamp_header),
            ("delivery_id_header", &self.delivery_id_header),
            ("event_header", &self.event_header),
            ("webhook_id_header", &self.webhook_id_header),
        ] {
            if !is_header_name(name) {
                let what = format!("is {name:?}, expected the name of a header");
                return Err(ConfigError::new(setting, what));
            }
        }
        self.delivery_id_fields.check("delivery_id_fields")?;
        self.kind_fields.check("kind_fields")?;
        self.challenge_fields.check("challenge_fields")
    }
}

/// The kind and the signed time. The body's time is preferred to the header's, because a retry repeats it.
fn scope_of_bare_id(
    kind: Option<&str>,
    body_time: Option<&Timestamp>,
    header_time: Option<&Timestamp>,
) -> Vec<u8> {
    let header_time = header_time.filter(|time| time.signed);
    let at = body_time.or(header_time).and_then(|time| time.at);
    let at = at.map(|at| at.unix_timestamp_nanos().to_string());
    format!("{} {}", at.unwrap_or_default(), kind.unwrap_or_default()).into_bytes()
}

fn bytes_of(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
