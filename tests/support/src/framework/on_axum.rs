use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{Method, StatusCode};
use axum::routing::{any, post};
use bytes::Bytes;
use scrapest_webhook::{Delivery, EventError, Provider, WebhookLayer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Framework, Server, Stop};
use crate::plain::{Given, Plain};
use crate::{Handler, PATH};

pub struct Axum;

impl Framework for Axum {
    const CONTINUES_BY_ITSELF: bool = false;

    async fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> Server {
        start(Router::new().route(path, post(on_delivery).route_layer(layer)).with_state(handler))
            .await
    }

    async fn serve_plain<P: Provider>(layer: WebhookLayer<P>, handler: Plain) -> Server {
        start(
            Router::new()
                .route(PATH, any(on_request).layer(layer))
                .layer(DefaultBodyLimit::disable())
                .with_state(handler),
        )
        .await
    }
}

async fn start(app: Router) -> Server {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (tell, mut told) = watch::channel(false);
    let (over, ended) = watch::channel(());
    tokio::spawn(async move {
        let mut gracefully = told.clone();
        let signal = async move { _ = gracefully.wait_for(|stop| *stop).await };
        let serving = axum::serve(listener, app).with_graceful_shutdown(signal);
        tokio::select! {
            ended = serving => ended.unwrap(),
            // The sender is gone because the server was dropped.
            () = async { while told.changed().await.is_ok() {} } => {}
        }
        drop(over);
    });
    // Waits for the server's own task and for axum's task that waits for the signal, so that a test that counts
    // tasks starts with both.
    for _ in 0..100 {
        if tasks() >= before + 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Server { address, stop: Box::new(Told { tell, ended }) }
}

struct Told {
    tell: watch::Sender<bool>,
    ended: watch::Receiver<()>,
}

impl Stop for Told {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.tell.send_replace(true);
        let mut ended = self.ended.clone();
        Box::pin(async move { while ended.changed().await.is_ok() {} })
    }
}

async fn on_delivery(State(handler): State<Handler>, delivery: Delivery) -> StatusCode {
    StatusCode::from_u16(handler.run(delivery).await).unwrap()
}

async fn on_request(
    State(handler): State<Plain>,
    method: Method,
    delivery: Result<Delivery, EventError>,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let (method, has_delivery) = (method.to_string(), delivery.is_ok());
    let given = Given { method, body: body.ok(), has_delivery };
    StatusCode::from_u16(handler.run(given).await).unwrap()
}
