//! The layer on hyper itself, without axum.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use scrapest_webhook::Delivery;
use scrapest_webhook::service::VerifiedBody;
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

use super::{Runs, genuine, layer};

#[tokio::test]
async fn the_layer_works_under_plain_hyper_over_http_1_and_http_2() {
    let (runs, layer) = (Runs::default(), layer());
    let counted = runs.clone();
    let service = layer.layer(service_fn(move |request: Request<VerifiedBody>| {
        let runs = counted.clone();
        async move {
            assert!(request.extensions().get::<Delivery>().is_some());
            runs.begin();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Full::new(body)))
        }
    }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
            });
        }
    });
    for (http2, runs_by_now) in [(false, 1), (true, 2)] {
        let client =
            Client::builder(TokioExecutor::new()).http2_only(http2).build_http::<Full<Bytes>>();
        let request = genuine().sign();
        for body in [&request.body()[..], b""] {
            let sent = request.clone().into_http(&format!("http://{address}/"));
            let answer = client.request(sent).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
        }
        let forged = request.with_body("{}").into_http(&format!("http://{address}/"));
        let answer = client.request(forged).await.unwrap();
        assert_eq!(answer.status(), 401);
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((&said[..], runs.count()), (&b"unauthorized"[..], runs_by_now));
    }
    assert!(layer.drain(Duration::from_secs(5)).await);
}
