//! Step 2: the raw body, within its limit, its deadline, and the cap over all requests.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{BodyError, Incoming};
use crate::config::Config;
use crate::rejection::{RejectionKind, Reply};
use crate::shared::Body;
use crate::timer::timeout_at;

/// One deadline for the whole body: one for each frame is beaten by a byte a second.
pub(super) async fn collect<P>(
    config: &Config<P>,
    mut incoming: Pin<&mut Option<impl Incoming>>,
    arrived: Instant,
) -> Result<Body, Reply> {
    let gathered = match incoming.as_mut().as_pin_mut() {
        Some(pieces) => {
            let gathered = pin!(gather(config, pieces));
            timeout_at(|| arrived + config.body_deadline, gathered).await
        }
        None => Ok(Ok(Body::default())),
    };
    // Read to its end: what it holds of the connection is not kept while the handler runs.
    incoming.set(None);
    match gathered {
        Ok(body) => body.map_err(Reply::from),
        Err(_) => Err(RejectionKind::BodyTooSlow.into()),
    }
}

async fn gather<P>(
    config: &Config<P>,
    mut incoming: Pin<&mut impl Incoming>,
) -> Result<Body, RejectionKind> {
    let mut share = None;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = poll_fn(|cx| incoming.as_mut().poll_chunk(cx)).await {
        // A body that is always ready must not keep the deadline from being looked at.
        tokio::task::coop::consume_budget().await;
        let chunk = chunk.map_err(|error| match error {
            BodyError::Incomplete => RejectionKind::BodyIncomplete,
            BodyError::TooLarge => RejectionKind::BodyTooLarge,
        })?;
        if chunk.len() > config.body_limit - (first.len() + rest.len()) {
            return Err(RejectionKind::BodyTooLarge);
        }
        config.shared.take_bytes(&mut share, chunk.len())?;
        if rest.is_empty() && first.is_empty() {
            // A body in one frame, as most are, is handed on without a copy.
            first = chunk;
        } else {
            // What has arrived decides how much is reserved, not what a header promised.
            if rest.is_empty() {
                rest.reserve(first.len() + chunk.len());
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Body::new(bytes, share))
}
