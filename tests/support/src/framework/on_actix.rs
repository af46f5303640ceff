use std::pin::Pin;

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpResponse, HttpServer, Route, web};
use scrapest_webhook::{Delivery, EventError, Provider, WebhookLayer};

use super::{Framework, Server, Stop};
use crate::plain::{Given, Plain};
use crate::{Handler, PATH};

pub struct Actix;

impl Framework for Actix {
    const CONTINUES_BY_ITSELF: bool = true;

    async fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> Server {
        start(path, layer, handler, || web::post().to(on_delivery))
    }

    async fn serve_plain<P: Provider>(layer: WebhookLayer<P>, handler: Plain) -> Server {
        start(PATH, layer, handler, || web::route().to(on_request))
    }
}

fn start<P: Provider, H: Clone + Send + 'static>(
    path: &'static str,
    layer: WebhookLayer<P>,
    handler: H,
    route: fn() -> Route,
) -> Server {
    let server = HttpServer::new(move || {
        let resource = web::resource(path).route(route()).wrap(layer.clone());
        App::new()
            .app_data(web::PayloadConfig::new(usize::MAX))
            .app_data(web::Data::new(handler.clone()))
            .service(resource)
    })
    .workers(2)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    // The workers have their own threads and runtimes.
    tokio::spawn(server);
    Server { address, stop: Box::new(Told(handle)) }
}

struct Told(actix_web::dev::ServerHandle);

impl Stop for Told {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.stop(true))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for its completion.
        drop(self.0.stop(false));
    }
}

async fn on_delivery(handler: web::Data<Handler>, delivery: Delivery) -> HttpResponse {
    let status = Handler::clone(&handler).run(delivery).await;
    HttpResponse::new(StatusCode::from_u16(status).unwrap())
}

async fn on_request(
    handler: web::Data<Plain>,
    method: Method,
    delivery: Result<Delivery, EventError>,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let (method, has_delivery) = (method.to_string(), delivery.is_ok());
    let given = Given { method, body: body.ok(), has_delivery };
    let status = Plain::clone(&handler).run(given).await;
    HttpResponse::new(StatusCode::from_u16(status).unwrap())
}
