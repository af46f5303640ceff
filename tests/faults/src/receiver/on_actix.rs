use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use scrapest_webhook::Delivery;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;

use super::handler::{FAULT_HEADER, Handler};
use super::points::Point;
use super::{Arguments, Outer, layer, store};

#[actix_web::main]
pub(super) async fn serve(arguments: &Arguments, handler: Handler, outer: Outer) -> Result<()> {
    let store = store(arguments, &outer.points)?;
    let scrapest = layer::<Scrapest>(arguments, &store, &outer.points)?;
    let scrapebadger = layer::<ScrapeBadger>(arguments, &store, &outer.points)?;
    let server = HttpServer::new(move || {
        let around = || {
            let outer = outer.clone();
            from_fn(move |request, next| pass(outer.clone(), request, next))
        };
        let to_handler = || web::post().to(on_delivery);
        App::new()
            .app_data(web::Data::new(handler.clone()))
            .service(
                web::resource("/scrapest")
                    .route(to_handler())
                    .wrap(scrapest.clone())
                    .wrap(around()),
            )
            .service(
                web::resource("/scrapebadger")
                    .route(to_handler())
                    .wrap(scrapebadger.clone())
                    .wrap(around()),
            )
            .route("/bare", web::post().to(async |_body: Bytes| HttpResponse::Ok().finish()))
    })
    .workers(2)
    .disable_signals()
    .bind(("127.0.0.1", 0))?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await?;
    Ok(())
}

async fn on_delivery(
    request: HttpRequest,
    handler: web::Data<Handler>,
    delivery: Delivery,
) -> HttpResponse {
    let fault = request.headers().get(FAULT_HEADER).and_then(|fault| fault.to_str().ok());
    let status = handler.run(delivery, fault.unwrap_or_default()).await;
    HttpResponse::new(StatusCode::from_u16(status).unwrap_or_default())
}

async fn pass<B: MessageBody + 'static>(
    outer: Outer,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let points = outer.points;
    points.pass(Point::BeforeBody);
    let watch = Arc::clone(&points);
    let end = stream::poll_fn(move |_| {
        watch.pass(Point::AfterBody);
        std::task::Poll::Ready(None)
    });
    let body = request.take_payload().chain(end);
    request.set_payload(Payload::Stream { payload: Box::pin(body) });
    let response = next.call(request).await;
    points.pass(Point::BeforeAnswer);
    actix_web::rt::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        points.pass(Point::AfterAnswer);
    });
    response.map(ServiceResponse::map_into_boxed_body)
}
