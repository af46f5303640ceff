//! The rest of a refused body is read and dropped, within limits, and only where that is useful.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use axum::routing::post;
use bytes::Bytes;
use http_body::Frame;
use scrapest_webhook::Delivery;
use tower::ServiceExt;

use super::{genuine, layer};

/// A body of a number of chunks, one per turn of the runtime, that counts the chunks read. After the last chunk
/// it either hangs or ends.
struct Counted {
    left: usize,
    piece: usize,
    ends: bool,
    read: Arc<AtomicUsize>,
    waits: bool,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waits = !self.waits;
        if self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        self.left -= 1;
        self.read.fetch_add(self.piece, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Frame::data(vec![0; self.piece].into()))))
    }
}

/// Returns the bytes that are read of a body after its request was refused for its signature, and whether the
/// body is still alive in the end.
async fn read(
    pieces: usize,
    ends: bool,
    of: impl FnOnce(Request<Body>) -> Request<Body>,
) -> (usize, bool) {
    let read = Arc::new(AtomicUsize::new(0));
    let (left, piece) = (pieces, 64 * 1024);
    let body = Counted { left, piece, ends, read: Arc::clone(&read), waits: false };
    let app = Router::new().route("/", post(async |_: Delivery| ()).route_layer(layer()));
    let signed = genuine().sign().with_header("x-scrapest-signature", "sha256=");
    let request = of(signed.into_http::<Body>("/").map(|_| Body::new(body)));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 401);
    assert_eq!(read.load(Ordering::SeqCst), 0, "the answer comes first");
    // Far beyond the deadline; paused time does not advance while there is something to read.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    (read.load(Ordering::SeqCst), Arc::strong_count(&read) > 1)
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_read_to_its_end_beside_the_answer() {
    assert_eq!(read(80, true, |request| request).await, (80 * 64 * 1024, false));
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_read_within_a_size_and_a_time_limit() {
    let (bytes, is_held) = read(10_000, true, |request| request).await;
    assert!((8 << 20..(8 << 20) + 128 * 1024).contains(&bytes), "8 MiB, not {bytes}");
    assert!(!is_held);
    assert_eq!(read(3, false, |request| request).await, (3 * 64 * 1024, false), "5 s, no more");
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_not_read_if_the_client_waits_or_cannot_be_cut_off() {
    let expecting = |mut request: Request<Body>| {
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        request
    };
    assert_eq!(read(3, true, expecting).await, (0, false));
    let http_2 = |mut request: Request<Body>| {
        *request.version_mut() = Version::HTTP_2;
        request
    };
    assert_eq!(read(3, true, http_2).await, (0, false));
}
