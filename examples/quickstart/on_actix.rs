//! The receiver in an actix-web application: the same layer, wrapped around a resource.

use std::io;
use std::net::SocketAddr;

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use scrapest_webhook::{
    Delivery, ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, scrapebadger, scrapest,
};

use crate::deliveries::Sender;
use crate::handler::{Journal, handle};

pub(crate) async fn start(secret: &str, journal: Journal) -> io::Result<SocketAddr> {
    // One layer for all workers, so that they share its store and its limits.
    let scrapest = ScrapestWebhookLayer::new(secret);
    let scrapebadger = ScrapeBadgerWebhookLayer::new(secret);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(journal.clone()))
            .service(
                web::resource(Sender::Scrapest.path())
                    .route(web::post().to(on_scrapest))
                    .wrap(scrapest.clone()),
            )
            .service(
                web::resource(Sender::ScrapeBadger.path())
                    .route(web::post().to(on_scrapebadger))
                    .wrap(scrapebadger.clone()),
            )
    })
    .workers(2)
    .bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    // The workers have their own threads and runtimes.
    tokio::spawn(server.run());
    Ok(address)
}

async fn on_scrapest(
    journal: web::Data<Journal>,
    delivery: Delivery,
    event: scrapest::Event,
) -> HttpResponse {
    let tweet = event.tweet().and_then(|tweet| tweet.text.as_deref());
    let text = tweet.or(event.post().and_then(|post| post.text.as_deref()));
    respond(handle(&journal, &delivery, event.kind(), text).await)
}

async fn on_scrapebadger(
    journal: web::Data<Journal>,
    delivery: Delivery,
    event: scrapebadger::Event,
) -> HttpResponse {
    let text = event.tweet().and_then(|tweet| tweet.text.as_deref());
    respond(handle(&journal, &delivery, event.kind(), text).await)
}

fn respond(code: u16) -> HttpResponse {
    HttpResponse::new(StatusCode::from_u16(code).unwrap_or_default())
}
