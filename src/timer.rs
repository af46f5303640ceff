//! A timer only for what has to wait.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::time::error::Elapsed;
use tokio::time::{self, Instant};

/// As tokio's, but what is ready at once, like a store in memory or a body that has come, makes no timer
/// and does not even ask when `deadline` is.
pub(crate) async fn timeout_at<F: Future>(
    deadline: impl FnOnce() -> Instant,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(output) => Ok(output),
        // Boxed: a timer is large, and every delivery would carry the room for it.
        Poll::Pending => Box::pin(time::timeout_at(deadline(), future)).await,
    }
}
