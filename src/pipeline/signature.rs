//! Step 3: that the sender wrote these bytes.

use hmac::Mac;
use subtle::{Choice, ConstantTimeEq};

use super::Exchange;
use crate::config::{Config, MOST_SECRETS};
use crate::provider::{Envelope, Message, Provider};
use crate::rejection::{RejectionKind, Reply};

/// What the signature vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    /// The tags that we compute of the signed bytes under each active secret: the same whichever of them
    /// an attempt is signed with, and however its header spells the tag.
    pub(super) tags: [Option<[u8; 32]>; MOST_SECRETS],
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
    let mut tags = [None; MOST_SECRETS];
    let Some(signature) = signature else {
        return Ok(Signed { tags, prefix_signed: false, authentic: false });
    };
    for prefix in config.provider.signed_prefixes(exchange.headers()) {
        let mut fits = Choice::from(0);
        for (tag, key) in tags.iter_mut().zip(&config.keys) {
            let mut mac = key.clone();
            mac.update(&prefix);
            mac.update(body);
            let computed: [u8; 32] = mac.finalize().into_bytes().into();
            fits |= computed.ct_eq(&signature);
            *tag = Some(computed);
        }
        if fits.into() {
            return Ok(Signed { tags, prefix_signed: !prefix.is_empty(), authentic: true });
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
