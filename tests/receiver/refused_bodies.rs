//! A client that writes its whole request before it reads receives a refusal. Python, Node and nginx do this.

use std::time::Duration;

use scrapest_webhook::testing::SignedRequest;
use support::connection::chunked_text;
use support::{Framework, Handler, Server, client, genuine, layer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Writes the whole text, then reads.
async fn written_first(server: &Server, text: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(text).await.expect("the server takes all of it");
    // The answer and everything after it have arrived; a reset would have discarded them.
    tokio::time::sleep(Duration::from_millis(20)).await;
    client::read(&mut stream).await.status
}

fn of_length(bytes: usize) -> SignedRequest {
    genuine().sign().with_body(vec![b' '; bytes])
}

async fn a_client_that_writes_everything_first_receives_the_refusal<F: Framework>() {
    let handler = Handler::ok();
    let server = F::serve(layer(), handler.clone()).await;
    for length in [20_000, 1_000_000, 1_200_000, 2_500_000, 5_000_000] {
        for _ in 0..4 {
            let broken = of_length(length).with_header("x-scrapest-signature", "sha256=");
            let refused = if length > 1_048_576 { 413 } else { 401 };
            assert_eq!(written_first(&server, &client::text(&broken)).await, refused, "{length}");
            let encoded = of_length(length).with_header("content-encoding", "gzip");
            assert_eq!(written_first(&server, &client::text(&encoded)).await, 415, "{length}");
            // Without a length, the layer notices it while reading.
            let chunked = chunked_text(&of_length(length), 100_000, true);
            let refused = if length > 1_048_576 { 413 } else { 401 };
            assert_eq!(written_first(&server, &chunked).await, refused, "{length} chunked");
        }
    }
    assert_eq!(handler.runs(), 0);
    assert_eq!(server.send(&genuine().sign()).await.status, 200);
}

support::for_each_framework! {
    a_client_that_writes_everything_first_receives_the_refusal,
}
