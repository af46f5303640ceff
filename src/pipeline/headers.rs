//! Step 1: checks the headers, before the body is read.

use super::Exchange;
use super::signature::{self, Presented};
use crate::access::Client;
use crate::provider::{Headers, Provider};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};

/// Returns the signatures or the token that the request carries.
pub(super) fn check<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    client: &mut Client,
) -> Result<Presented, Reply> {
    let mut signature = Repeated::default();
    let shape = shape(receiver, exchange.method(), exchange.headers(), &mut signature);
    if let Err(kind) = shape {
        // This is not an authentication failure: the request presented no signature, and no body was read.
        client.forgive();
        return Err(kind.into());
    }
    signature::presented(receiver, exchange, signature)
}

/// A header that must occur exactly once: its last value, and how often it occurred.
#[derive(Default)]
pub(super) struct Repeated<'a> {
    pub(super) last: Option<&'a [u8]>,
    pub(super) count: usize,
}

/// Checks the method and the other headers, and collects the signature headers in the same pass.
fn shape<'a, P: Provider>(
    receiver: &Receiver<P>,
    method: &str,
    headers: Headers<'a>,
    signature: &mut Repeated<'a>,
) -> Result<(), RejectionKind> {
    if method != "POST" {
        return Err(RejectionKind::MethodNotAllowed);
    }
    let signs = |name: &str| {
        receiver.provider.signature_headers().any(|other| name.eq_ignore_ascii_case(other))
    };
    let (mut encoded, mut too_large) = (false, false);
    headers.all(|name, value| match name {
        "content-encoding" => encoded |= !value.eq_ignore_ascii_case(b"identity"),
        "content-length" => too_large |= exceeds(value, receiver.body_limit),
        _ if signs(name) => {
            (signature.last, signature.count) = (Some(value), signature.count + 1);
        }
        _ => {}
    });
    if encoded {
        return Err(RejectionKind::ContentEncoding);
    }
    match too_large {
        true => Err(RejectionKind::BodyTooLarge),
        false => Ok(()),
    }
}

/// A length that is not a number is left to the framework, and the bytes are counted anyway. A length with too many
/// digits for a `usize` is too long.
fn exceeds(length: &[u8], limit: usize) -> bool {
    let digits = length.trim_ascii();
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits)
            .is_ok_and(|digits| digits.parse::<usize>().map_or(true, |length| length > limit))
}
