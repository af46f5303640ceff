//! Step 3: that the sender wrote these bytes.

use hmac::Mac;
use subtle::{Choice, ConstantTimeEq};

use super::Exchange;
use crate::config::Config;
use crate::provider::{Envelope, Message, Provider};
use crate::rejection::{RejectionKind, Reply};

/// What the signature vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    /// The tag that we computed, which is the one that came: compared as 32 bytes, not as text.
    pub(super) tag: [u8; 32],
    prefix_signed: bool,
    /// `false` only for what may turn out to be a challenge that the settings answer unsigned.
    pub(super) authentic: bool,
}

/// Every active secret is tried without an early exit, so that neither time nor answer tells which one
/// fitted. Which bytes are signed is no secret: the next prefix is tried only if the one before fails.
pub(super) fn verify<P: Provider>(
    config: &Config<P>,
    exchange: &impl Exchange,
    signature: Option<[u8; 32]>,
    body: &[u8],
) -> Result<Signed, Reply> {
    let Some(tag) = signature else {
        return Ok(Signed { tag: [0; 32], prefix_signed: false, authentic: false });
    };
    for prefix in config.provider.signed_prefixes(exchange.headers()) {
        let mut fits = Choice::from(0);
        for key in &config.keys {
            let mut mac = key.clone();
            mac.update(&prefix);
            mac.update(body);
            fits |= mac.finalize().into_bytes().as_slice().ct_eq(&tag);
        }
        if fits.into() {
            return Ok(Signed { tag, prefix_signed: !prefix.is_empty(), authentic: true });
        }
    }
    Err(RejectionKind::WrongSignature.into())
}

impl Signed {
    /// What the request says of itself: the first look at anything in the body.
    pub(super) fn envelope<'a, P: Provider>(
        &self,
        config: &Config<P>,
        exchange: &'a impl Exchange,
        body: &'a [u8],
    ) -> Envelope<'a> {
        let message = Message::new(exchange.headers(), body, self.prefix_signed);
        config.provider.envelope(&message)
    }
}
