//! The receiver in an axum application.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::{
    Delivery, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, scrapebadger, scrapest,
};
use tokio::net::TcpListener;

use crate::deliveries::Sender;
use crate::handler::{Journal, handle};

pub(crate) async fn start(secret: &str, journal: Journal) -> std::io::Result<SocketAddr> {
    let scrapest = ScrapestWebhookLayer::new(secret);
    let scrapebadger = ScrapeBadgerWebhookLayer::new(secret);
    let app = Router::new()
        .route(Sender::Scrapest.path(), post(on_scrapest).route_layer(scrapest))
        .route(Sender::ScrapeBadger.path(), post(on_scrapebadger).route_layer(scrapebadger))
        .with_state(journal);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}

async fn on_scrapest(
    State(journal): State<Journal>,
    delivery: Delivery,
    event: scrapest::Event,
) -> StatusCode {
    let tweet = event.tweet().and_then(|tweet| tweet.text.as_deref());
    let text = tweet.or(event.post().and_then(|post| post.text.as_deref()));
    status(handle(&journal, &delivery, event.kind(), text).await)
}

async fn on_scrapebadger(
    State(journal): State<Journal>,
    delivery: Delivery,
    event: scrapebadger::Event,
) -> StatusCode {
    let text = event.tweet().and_then(|tweet| tweet.text.as_deref());
    status(handle(&journal, &delivery, event.kind(), text).await)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or_default()
}
