//! Step 1: what the headers alone can refuse, before the first byte of the body is asked for.

use super::Exchange;
use super::signature::{self, Presented};
use crate::access::Client;
use crate::provider::{Headers, Provider};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};

/// What the request carries to prove its sender.
pub(super) fn check<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    client: &mut Client,
) -> Result<Presented, Reply> {
    let mut signature = Repeated::default();
    let shape = shape(receiver, exchange.method(), exchange.headers(), &mut signature);
    if let Err(kind) = shape {
        // Not a failure to authenticate: nothing was claimed, and nothing was read.
        client.forgive();
        return Err(kind.into());
    }
    signature::presented(receiver, exchange, signature)
}

/// The values of headers of which there must be one.
#[derive(Default)]
pub(super) struct Repeated<'a> {
    pub(super) last: Option<&'a [u8]>,
    pub(super) count: usize,
}

/// Finds the signature's headers in the same pass.
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

/// A length that is not a number is left to the framework, which counts the bytes anyway. A length with more
/// digits than fit into a number is too long.
fn exceeds(length: &[u8], limit: usize) -> bool {
    let digits = length.trim_ascii();
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits)
            .is_ok_and(|digits| digits.parse::<usize>().map_or(true, |length| length > limit))
}
