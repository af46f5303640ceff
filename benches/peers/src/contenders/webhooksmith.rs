//! webhooksmith's own layer and extractor, on the axum version that they support.

use axum_07::body::Body;
use axum_07::http::StatusCode;
use axum_07::{Router, routing::post};
use time::OffsetDateTime;
use webhooksmith::signing::sign;
use webhooksmith_axum::{TypedWebhook, WebhookSecretLayer};

use super::tower;
use crate::{Contender, sample};
use sample_event::TweetEvent;

pub(super) fn webhooksmith() -> Contender {
    let handler = async |TypedWebhook(event): TypedWebhook<TweetEvent>| match event.tweet.id.len() {
        0 => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let layer = WebhookSecretLayer::new(sample::SECRET);
    let router = Router::new().route("/", post(handler).route_layer(layer)).with_state(());
    tower("webhooksmith, `TypedWebhook<T>`", http::StatusCode::OK, router, |bytes| {
        let signed = sample::signed(bytes);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let signature = sign(sample::SECRET, now, signed.body()).unwrap();
        let headers =
            [("x-hooksmith-timestamp", now.to_string()), ("x-hooksmith-signature", signature)];
        sample::request::<Body>(signed, "x-scrapebadger-signature", &headers)
    })
    .over("axum: `Json<T>`, nothing verified")
}
