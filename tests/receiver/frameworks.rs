//! The common behavior of the two frameworks, and the facts about each on which the receiver depends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::post;
use support::{Actix, Axum, Framework, Handler, PATH, Server, client, eventually, genuine, layer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn one_layer_serves_both_frameworks_as_one_receiver() {
    let (layer, handler) = (layer(), Handler::ok());
    let axum = Axum::serve(layer.clone(), handler.clone()).await;
    let actix = Actix::serve(layer, handler.clone()).await;
    let request = genuine().sign();
    let (first, second) = tokio::join!(axum.send(&request), actix.send(&request));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(axum.send(&request).await.status, 200);
    assert_eq!(handler.runs(), 1);
}

/// Sends a whole request and closes the connection while its handler runs.
async fn leave(server: &Server, handler: &Handler) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&client::text(&genuine().sign())).await.unwrap();
    eventually("the handler runs", || handler.runs() == 1).await;
    drop(stream);
}

async fn a_run_whose_client_has_left_reaches_its_end<F: Framework>() {
    let handler = Handler::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        200
    });
    let layer = layer();
    let server = F::serve(layer.clone(), handler.clone()).await;
    leave(&server, &handler).await;
    eventually("the handler ends", || handler.ended() == 1).await;
    assert!(layer.drain(Duration::from_secs(5)).await);
}

/// Counts the handlers that started and were not dropped before their end.
#[derive(Default)]
struct Fate {
    begun: AtomicUsize,
    ended: AtomicUsize,
    dropped: AtomicUsize,
}

async fn meet(fate: Arc<Fate>) {
    struct Alive(Arc<Fate>, bool);
    impl Drop for Alive {
        fn drop(&mut self) {
            let count = if self.1 { &self.0.ended } else { &self.0.dropped };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mut alive = Alive(Arc::clone(&fate), false);
    fate.begun.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    alive.1 = true;
}

async fn leave_bare(address: std::net::SocketAddr, fate: &Arc<Fate>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    eventually("the handler runs", || fate.begun.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    let over = || fate.ended.load(Ordering::SeqCst) + fate.dropped.load(Ordering::SeqCst) == 1;
    eventually("the handler is over", over).await;
}

/// Without the layer: if axum stopped doing this, the layer could be simpler.
#[tokio::test]
async fn bare_axum_drops_a_handler_whose_client_has_left() {
    let fate = Arc::new(Fate::default());
    let met = Arc::clone(&fate);
    let app = axum::Router::new().route(PATH, post(move || meet(Arc::clone(&met))));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    leave_bare(address, &fate).await;
    assert_eq!(fate.dropped.load(Ordering::SeqCst), 1);
}

/// Without the layer: the layer would also handle it if actix started to drop it.
#[tokio::test]
async fn bare_actix_does_not_drop_a_handler_whose_client_has_left() {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let fate = Arc::new(Fate::default());
    let met = Arc::clone(&fate);
    let server = HttpServer::new(move || {
        let met = Arc::clone(&met);
        let handler = move || {
            let met = Arc::clone(&met);
            async {
                meet(met).await;
                HttpResponse::Ok().finish()
            }
        };
        App::new().route(PATH, web::post().to(handler))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    leave_bare(address, &fate).await;
    assert_eq!(fate.ended.load(Ordering::SeqCst), 1);
    handle.stop(false).await;
}

async fn a_graceful_shutdown_lets_a_run_finish_and_answer<F: Framework>() {
    let handler = Handler::new(|_, _| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        200
    });
    let server = F::serve(layer(), handler.clone()).await;
    let request = genuine().sign();
    let (answer, ()) = tokio::join!(server.send(&request), async {
        eventually("the handler runs", || handler.runs() == 1).await;
        server.shut_down().await;
    });
    assert_eq!((answer.status, handler.ended()), (200, 1));
    assert!(TcpStream::connect(server.address).await.is_err(), "it no longer accepts");
}

support::for_each_framework! {
    a_run_whose_client_has_left_reaches_its_end,
    a_graceful_shutdown_lets_a_run_finish_and_answer,
}
