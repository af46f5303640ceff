//! Serves TLS without a proxy: rustls runs in the same process. SIGHUP reloads the certificate, for example
//! after a renewal; if the new one is unusable, the old one stays.
//!
//! ```sh
//! SCRAPEST_WEBHOOK_SECRET=whsec_… TLS_CERT=chain.pem TLS_KEY=key.pem cargo run --example tls --features cli
//! ```
//!
//! Without the two files it creates a self-signed certificate, which no sender trusts, but `curl -k` accepts.

mod signals;

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, scrapest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    _ = rustls::crypto::ring::default_provider().install_default();
    let secret = Secret::from_env("SCRAPEST_WEBHOOK_SECRET")?;
    let webhook = ScrapestWebhookLayer::try_new(secret)?.check()?;
    let app = Router::new()
        .route("/webhooks/scrapest", post(on_event).route_layer(webhook.clone()))
        .route("/health", get(|| async { "ok" }));

    let tls = match (env::var("TLS_CERT"), env::var("TLS_KEY")) {
        (Ok(cert), Ok(key)) => {
            let tls = RustlsConfig::from_pem_file(&cert, &key).await?;
            #[cfg(unix)]
            tokio::spawn(reload(tls.clone(), cert, key));
            tls
        }
        _ => {
            let made =
                rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()])?;
            let key = made.signing_key.serialize_pem();
            RustlsConfig::from_pem(made.cert.pem().into(), key.into()).await?
        }
    };

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3002".into());
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("listening on https://{}/webhooks/scrapest", listener.local_addr()?);
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    tokio::spawn(async move {
        signals::terminated().await;
        webhook.shutdown(Duration::from_secs(20)).await;
        handle.graceful_shutdown(Some(Duration::from_secs(5)));
    });
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(unix)]
async fn reload(tls: RustlsConfig, cert: String, key: String) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut told = signal(SignalKind::hangup())?;
    while told.recv().await.is_some() {
        match tls.reload_from_pem_file(&cert, &key).await {
            Ok(()) => println!("certificate read anew"),
            Err(error) => eprintln!("certificate not read, the old one stays: {error}"),
        }
    }
    Ok(())
}

async fn on_event(delivery: Delivery, event: scrapest::Event) -> StatusCode {
    // Make the effect idempotent with `delivery.key()`: after a crash the handler may run again.
    println!("{}: {:?}", delivery.key(), event.kind());
    StatusCode::NO_CONTENT
}
