//! Measures what a delivery costs in each persistent store, from the request to the answer, beside bare
//! commands: the table of `ratios.rs`. The cost of a claim in PostgreSQL and SQLite is in
//! `benches/sql_stores.rs`.
//!
//! ```sh
//! cargo bench --bench stores -- ratios
//! ```

mod ratios;

use std::convert::Infallible;
use std::pin::Pin;

use axum::http::{Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::store::{DeliveryStore, Key};
use scrapest_webhook::{ScrapestWebhookLayer, testing};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};

const SECRET: &str = "whsec_0123456789abcdef01234567";

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

fn main() {
    // Cargo passes `--bench` to a benchmark; `cargo test --benches` only checks that it builds.
    if std::env::args().any(|argument| argument == "--bench") {
        Runtime::new().unwrap().block_on(ratios::print());
    }
}

fn signed() -> Request<Full<Bytes>> {
    testing::scrapest(SECRET).sign().into_http("/")
}

fn deliver(store: impl DeliveryStore) -> impl Fn(Request<Full<Bytes>>) -> Job + Send + Sync {
    let layer = ScrapestWebhookLayer::new(SECRET).with_store(store);
    let handler = service_fn(|_: Request<VerifiedBody>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = layer.layer(handler);
    move |request| {
        let service = service.clone();
        Box::pin(async move {
            let answer = service.oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 200);
        })
    }
}

fn key() -> String {
    Key::from_bytes(rand::random()).to_string()
}

async fn set(url: &str) -> impl Fn(String) -> Job + Send + Sync + use<> {
    let client = redis::Client::open(url).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    move |key| {
        let mut connection = connection.clone();
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(key).arg("1").arg("NX").arg("PX").arg(4_200_000);
            set.exec_async(&mut connection).await.unwrap();
        })
    }
}
