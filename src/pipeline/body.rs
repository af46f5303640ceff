//! Step 2: the raw body, within its limit, its deadline, and the cap over all requests.

use std::future::poll_fn;
use std::pin::pin;

use bytes::{Bytes, BytesMut};

use super::{BodyError, Exchange};
use crate::limits::{Body, Share};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::run_state::RunState;
use crate::timer::timeout_at;

/// One deadline for the whole body: one for each frame is beaten by a byte a second.
pub(super) async fn collect<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &mut impl Exchange,
    run: &RunState,
) -> Result<Body, Reply> {
    let gathered = pin!(gather(receiver, exchange));
    match timeout_at(|| run.arrived() + receiver.body_deadline, gathered).await {
        Ok(body) => body.map_err(Reply::from),
        Err(_) => Err(RejectionKind::BodyTooSlow.into()),
    }
}

async fn gather<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &mut impl Exchange,
) -> Result<Body, RejectionKind> {
    let mut share = Share::none(receiver.meters().bytes_in_flight());
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut has_begun = false;
    while let Some(chunk) = poll_fn(|cx| exchange.poll_chunk(cx)).await {
        if std::mem::replace(&mut has_begun, true) {
            // A body that is always ready must not keep the deadline from being looked at.
            tokio::task::coop::consume_budget().await;
        }
        let chunk = chunk.map_err(|error| match error {
            BodyError::Incomplete => RejectionKind::BodyIncomplete,
            BodyError::TooLarge => RejectionKind::BodyTooLarge,
        })?;
        if chunk.len() > receiver.body_limit - (first.len() + rest.len()) {
            return Err(RejectionKind::BodyTooLarge);
        }
        receiver.limits.take_bytes(&mut share, chunk.len())?;
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
