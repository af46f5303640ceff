use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http_body::Frame;
use scrapest_webhook::Delivery;
use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use tokio::net::TcpListener;

use super::handler::{FAULT_HEADER, Handler};
use super::points::{Point, Points};
use super::{Arguments, Outer, layer, store};

#[tokio::main]
pub(super) async fn serve(arguments: &Arguments, handler: Handler, outer: Outer) -> Result<()> {
    let store = store(arguments, &outer.points)?;
    let scrapest = layer::<Scrapest>(arguments, &store, &outer.points)?;
    let scrapebadger = layer::<ScrapeBadger>(arguments, &store, &outer.points)?;
    let around = || from_fn_with_state(outer.clone(), pass);
    let app = Router::new()
        .route("/scrapest", post(on_delivery).route_layer(scrapest).layer(around()))
        .route("/scrapebadger", post(on_delivery).route_layer(scrapebadger).layer(around()))
        .route("/bare", post(async |_body: Bytes| StatusCode::OK))
        .with_state(handler);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn on_delivery(
    State(handler): State<Handler>,
    headers: HeaderMap,
    delivery: Delivery,
) -> StatusCode {
    let fault = headers.get(FAULT_HEADER).and_then(|fault| fault.to_str().ok());
    let status = handler.run(delivery, fault.unwrap_or_default()).await;
    StatusCode::from_u16(status).unwrap_or_default()
}

async fn pass(State(outer): State<Outer>, request: Request, next: Next) -> Response {
    let points = outer.points;
    points.pass(Point::BeforeBody);
    let watch = Arc::clone(&points);
    let request = request.map(|body| Body::new(Watched { body, points: watch }));
    if outer.early {
        tokio::spawn(next.run(request));
        return StatusCode::OK.into_response();
    }
    let response = next.run(request).await;
    points.pass(Point::BeforeAnswer);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        points.pass(Point::AfterAnswer);
    });
    response
}

/// A request's body that passes a point at its end.
struct Watched {
    body: Body,
    points: Arc<Points>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(None) = frame {
            self.points.pass(Point::AfterBody);
        }
        frame
    }
}
