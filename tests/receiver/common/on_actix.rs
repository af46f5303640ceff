use std::future::Future;
use std::pin::Pin;

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use scrapest_webhook::{Delivery, Provider, WebhookLayer};

use super::{Framework, Handler, Server, Stop};

pub struct Actix;

impl Framework for Actix {
    const CONTINUES_BY_ITSELF: bool = true;

    async fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> Server {
        let server = HttpServer::new(move || {
            let resource =
                web::resource(path).route(web::post().to(on_delivery)).wrap(layer.clone());
            App::new().app_data(web::Data::new(handler.clone())).service(resource)
        })
        .workers(2)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        // Its workers have threads and runtimes of their own.
        tokio::spawn(server);
        Server { address, stop: Box::new(Told(handle)) }
    }
}

struct Told(actix_web::dev::ServerHandle);

impl Stop for Told {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.stop(true))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // The command is sent at once; what it returns only waits for the end.
        drop(self.0.stop(false));
    }
}

async fn on_delivery(handler: web::Data<Handler>, delivery: Delivery) -> HttpResponse {
    let status = Handler::clone(&handler).run(delivery).await;
    HttpResponse::new(StatusCode::from_u16(status).unwrap())
}
