use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use scrapest_webhook::{Delivery, Provider, WebhookLayer};
use tokio::net::TcpListener;

use super::{Framework, Handler, PATH, Server};

pub struct Axum;

impl Framework for Axum {
    async fn serve<P: Provider>(layer: WebhookLayer<P>, handler: Handler) -> Server {
        let app =
            Router::new().route(PATH, post(on_delivery).route_layer(layer)).with_state(handler);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let serving = axum::serve(listener, app);
            tokio::select! {
                ended = serving => ended.unwrap(),
                _ = stopped => {}
            }
        });
        Server { address, stop: Some(Box::new(stop)) }
    }
}

async fn on_delivery(State(handler): State<Handler>, delivery: Delivery) -> StatusCode {
    StatusCode::from_u16(handler.run(delivery).await).unwrap()
}
