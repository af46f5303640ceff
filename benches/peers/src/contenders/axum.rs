//! axum contenders. Their handlers take the body as bytes, or the event.

use std::convert::Infallible;
use std::num::NonZero;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, post};
use axum::{BoxError, Json, Router};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use scrapest_webhook::{MemoryStore, ScrapeBadgerWebhookLayer, scrapebadger};
use sha2::Sha256;
use standardwebhooks::Webhook;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use tower::ServiceBuilder;
use webhook_verify::tower::VerifyLayer;
use webhook_verify::{Provider, Secret};

use super::{FEW, MANY, full, tower};
use crate::floor::Floor;
use crate::floor::tower::FloorLayer;
use crate::{Contender, sample};
use sample_event::TweetEvent;

const BYTES: &str = "axum: `Bytes`";
const WAITS: &str = "axum: `Bytes`, waits once";
const JSON: &str = "axum: `Json<T>`, nothing verified";
const OURS: &str = "x-scrapebadger-signature";
const GITHUB: &str = "x-hub-signature-256";

pub(super) fn all() -> Vec<Contender> {
    let ours = || ScrapeBadgerWebhookLayer::new(sample::SECRET);
    let floor =
        |deliveries| FloorLayer(Arc::new(Floor::new(sample::SECRET.as_bytes(), deliveries)));
    let route = |handler: MethodRouter| Router::new().route("/", handler);
    let of_many = |layer: MethodRouter| full(contender("", route(layer), OURS), MANY);
    let with_room_for = |deliveries| {
        ours().with_store(MemoryStore::with_capacity(NonZero::new(deliveries).unwrap()))
    };
    vec![
        contender(BYTES, route(post(bytes)), OURS),
        contender("the floor", route(post(bytes).route_layer(floor(MANY))), OURS).over(BYTES),
        contender("ours", route(post(bytes).route_layer(ours())), OURS).over(BYTES),
        contender(
            "the floor, store of 400, full",
            route(post(bytes).route_layer(floor(FEW))),
            OURS,
        )
        .over(BYTES),
        contender(
            "ours, store of 400, full",
            route(post(bytes).route_layer(with_room_for(FEW))),
            OURS,
        )
        .over(BYTES),
        of_many(post(bytes).route_layer(floor(MANY)))
            .named("the floor, store of 250,000, full")
            .over(BYTES),
        of_many(post(bytes).route_layer(with_room_for(MANY)))
            .named("ours, store of 250,000, full")
            .over(BYTES),
        contender(WAITS, route(post(waiting)), OURS),
        contender("the floor, waits once", route(post(waiting).route_layer(floor(MANY))), OURS)
            .over(WAITS),
        contender("ours, waits once", route(post(waiting).route_layer(ours())), OURS).over(WAITS),
        contender("webhook-verify", webhook_verify(post(bytes)), GITHUB).over(BYTES),
        standardwebhooks().over(BYTES),
        contender("an extractor by hand", Router::new().route("/", post(by_hand)), OURS)
            .over(BYTES),
        contender(JSON, Router::new().route("/", post(json)), OURS),
        contender(
            "axum: `from_slice`, nothing verified",
            Router::new().route("/", post(from_slice)),
            OURS,
        )
        .over(JSON),
        contender("ours, `Event`", Router::new().route("/", post(event).route_layer(ours())), OURS)
            .over(JSON),
        contender("webhook-verify, `Json<T>`", webhook_verify(post(json)), GITHUB).over(JSON),
    ]
}

/// A contender behind axum's router. `signature` is the header that it reads.
pub fn contender(name: &'static str, router: Router, signature: &'static str) -> Contender {
    // As `axum::serve` does: a router without its state applies the layers anew for each request.
    let router = router.with_state(());
    tower(name, StatusCode::OK, router, move |bytes| {
        sample::request::<Body>(sample::signed(bytes), signature, &[])
    })
}

/// Our layer, with a request that has no signature.
pub fn refused() -> Contender {
    let layer = ScrapeBadgerWebhookLayer::new(sample::SECRET);
    let router = Router::new().route("/", post(bytes).route_layer(layer)).with_state(());
    tower("ours, refused by its headers", StatusCode::UNAUTHORIZED, router, |bytes| {
        sample::request::<Body>(sample::signed(bytes), GITHUB, &[])
    })
}

/// The minimum that adapts webhook-verify to axum: its layer is not `Clone` for axum's `Body`, and axum does
/// not accept its error type.
fn webhook_verify(handler: MethodRouter) -> Router {
    let layer = VerifyLayer::<Bytes>::new(Provider::GitHub, Secret::new(sample::SECRET));
    let layers = ServiceBuilder::new()
        .map_err(|error: BoxError| -> Infallible { panic!("{error}") })
        .layer(layer)
        .map_request(|request: Request<Bytes>| request.map(Body::from));
    Router::new().route("/", handler.route_layer(layers))
}

async fn bytes(body: Bytes) -> StatusCode {
    seen(body.len())
}

/// A handler that yields once, like one that queries a database.
async fn waiting(body: Bytes) -> StatusCode {
    tokio::task::yield_now().await;
    seen(body.len())
}

async fn json(Json(event): Json<TweetEvent>) -> StatusCode {
    seen(event.tweet.id.len())
}

async fn from_slice(body: Bytes) -> StatusCode {
    let event: TweetEvent = serde_json::from_slice(&body).unwrap();
    seen(event.tweet.id.len())
}

async fn event(event: scrapebadger::Event) -> StatusCode {
    seen(event.tweet().unwrap().id.len())
}

fn seen(length: usize) -> StatusCode {
    if length == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK }
}

/// The code of many tutorials: it sets up the key for each request and decodes the signature to a `Vec`.
struct Verified(Bytes);

impl<S: Send + Sync> FromRequest<S> for Verified {
    type Rejection = StatusCode;

    async fn from_request(request: Request, state: &S) -> Result<Self, StatusCode> {
        let signature = request.headers().get(OURS).and_then(|value| value.to_str().ok());
        let signature = signature.and_then(|value| value.strip_prefix("sha256="));
        let signature = signature.and_then(|value| hex::decode(value).ok());
        let signature = signature.ok_or(StatusCode::UNAUTHORIZED)?;
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|_| StatusCode::BAD_REQUEST)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(sample::SECRET.as_bytes()).unwrap();
        mac.update(&body);
        match mac.finalize().into_bytes().ct_eq(&signature).into() {
            true => Ok(Self(body)),
            false => Err(StatusCode::UNAUTHORIZED),
        }
    }
}

async fn by_hand(Verified(body): Verified) -> StatusCode {
    seen(body.len())
}

fn standardwebhooks() -> Contender {
    let webhook = Arc::new(Webhook::from_bytes(sample::SECRET.into()).unwrap());
    let router = Router::new().route("/", post(in_the_handler)).with_state(Arc::clone(&webhook));
    tower("standardwebhooks", StatusCode::OK, router, move |bytes| {
        let signed = sample::signed(bytes);
        let (id, now) = (format!("msg_{:p}", signed.body()), OffsetDateTime::now_utc());
        let signature = webhook.sign(&id, now.unix_timestamp(), signed.body()).unwrap();
        let headers = [("webhook-id", id), ("webhook-timestamp", now.unix_timestamp().to_string())];
        let headers = Vec::from_iter(headers.into_iter().chain([("webhook-signature", signature)]));
        sample::request::<Body>(signed, OURS, &headers)
    })
}

async fn in_the_handler(
    State(webhook): State<Arc<Webhook>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    match webhook.verify(&body, &headers) {
        Ok(()) => seen(body.len()),
        Err(_) => StatusCode::UNAUTHORIZED,
    }
}
