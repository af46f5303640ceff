//! A timeout that creates a timer only for a future that has to wait.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::time::error::Elapsed;
use tokio::time::{self, Instant};

/// Works like tokio's `timeout_at`, but for a future that is ready at once, like a memory store or a body that has
/// arrived, it creates no timer and does not compute `deadline`.
pub(crate) async fn timeout_at<F: Future>(
    deadline: impl FnOnce() -> Instant,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => Ok(output),
        // Boxed: a timer is large, and every delivery would carry its size.
        Poll::Pending => Box::pin(time::timeout_at(deadline(), future)).await,
    }
}
