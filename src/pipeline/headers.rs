//! Step 1: what the headers alone can refuse, before the first byte of the body is asked for.

use super::Exchange;
use super::signature::{self, Presented};
use crate::provider::Provider;
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};

/// What the request carries to prove its sender.
pub(super) fn check<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
) -> Result<Presented, Reply> {
    if exchange.method() != "POST" {
        return Err(RejectionKind::MethodNotAllowed.into());
    }
    let headers = exchange.headers();
    let (mut encoded, mut too_large) = (false, false);
    headers.each("content-encoding", |value| encoded |= !value.eq_ignore_ascii_case(b"identity"));
    headers.each("content-length", |value| too_large |= exceeds(value, receiver.body_limit));
    if encoded {
        return Err(RejectionKind::ContentEncoding.into());
    }
    if too_large {
        return Err(RejectionKind::BodyTooLarge.into());
    }

    signature::presented(receiver, exchange)
}

/// A length that is no number is left to the framework, which counts the bytes anyway; one with more
/// digits than fit is long.
fn exceeds(length: &[u8], limit: usize) -> bool {
    let digits = length.trim_ascii();
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits)
            .is_ok_and(|digits| digits.parse::<usize>().map_or(true, |length| length > limit))
}
