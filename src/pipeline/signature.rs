//! Step 3: checks that the sender signed these bytes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Exchange;
use super::headers::Repeated;
use crate::observe::Observation;
use crate::provider::{Envelope, Message, Provider, Signatures};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::secret::{Candidates, MOST_SECRETS, Token, TokenIn, Webhook, WebhookRef};

/// The proof of the sender that a request carries.
pub(super) enum Presented {
    Signatures(Signatures),
    Token(Token),
    /// No proof. Allowed only if the sender's settings answer an unsigned challenge.
    Nothing,
}

/// The result of the signature check.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    tags: [[u8; 32]; MOST_SECRETS],
    /// The number of tags.
    count: usize,
    /// The webhook whose secret matched, in a layer with several webhooks.
    pub(super) webhook: Option<Webhook>,
    prefix_signed: bool,
    /// `false` only for a request that may be a challenge which the settings answer unsigned.
    pub(super) authentic: bool,
}

/// Returns the signatures of exactly one well-formed header, or exactly one token.
pub(super) fn presented<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    header: Repeated<'_>,
) -> Result<Presented, Reply> {
    let provider = &receiver.provider;
    let found = match &receiver.token {
        None => presented_signatures(provider, header)?.map(Presented::Signatures),
        Some(place) => presented_token(place, exchange)?.map(Presented::Token),
    };
    match found {
        Some(presented) => Ok(presented),
        None if provider.answers_unsigned_challenge() => Ok(Presented::Nothing),
        None => Err(RejectionKind::MissingSignature.into()),
    }
}

fn presented_signatures(
    provider: &impl Provider,
    header: Repeated<'_>,
) -> Result<Option<Signatures>, RejectionKind> {
    match (header.last, header.count) {
        (None, _) => Ok(None),
        (Some(value), 1) => match provider.signatures(value) {
            Some(signatures) => Ok(Some(signatures)),
            None => Err(RejectionKind::MalformedSignature),
        },
        _ => Err(RejectionKind::RepeatedSignature),
    }
}

fn presented_token(
    place: &TokenIn,
    exchange: &impl Exchange,
) -> Result<Option<Token>, RejectionKind> {
    let (mut token, mut count) = (None, 0_usize);
    place.each(exchange.headers(), exchange.query(), |value| {
        (token, count) = (Some(value), count + 1);
    });
    match token {
        Some(_) if count > 1 => Err(RejectionKind::RepeatedSignature),
        // HMAC pads a key with zero bytes, so a token that ends with them would equal the same token without them.
        Some(token) if token.contains(&0) => Err(RejectionKind::MalformedSignature),
        token => Ok(token),
    }
}

/// Tries every active secret with every signature, without an early exit, so that neither the time nor the answer
/// reveals which one matched. Its label is looked up only after a match. The signed bytes are not secret: the next
/// prefix is tried only if the previous one fails.
pub(super) fn verify<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    presented: Presented,
    body: &[u8],
    seen: &Observation<'_>,
) -> Result<Signed, Reply> {
    let mut tags = [[0; 32]; MOST_SECRETS];
    if let Presented::Nothing = presented {
        let (webhook, prefix_signed, authentic) = (None, false, false);
        return Ok(Signed { tags, count: 0, webhook, prefix_signed, authentic });
    }
    let candidates = receiver.secrets.now(|| {
        let id = receiver.provider.webhook_id(exchange.headers());
        WebhookRef::new(id, exchange.path())
    });
    let signatures = match &presented {
        Presented::Signatures(signatures) => signatures.as_slice(),
        Presented::Token(token) => return verify_token(receiver, candidates, token, body, seen),
        Presented::Nothing => &[],
    };
    for prefix in receiver.provider.signed_prefixes(exchange.headers()) {
        let (mut fits, mut fitting) = (Choice::from(0), 0);
        for ((place, tag), (key, counts)) in (0_u8..).zip(&mut tags).zip(candidates.keys()) {
            let mut mac = key.clone();
            mac.update(&prefix);
            mac.update(body);
            *tag = mac.finalize().into_bytes().into();
            let mut fit = Choice::from(0);
            for signature in signatures {
                fit |= lanes(tag).ct_eq(&lanes(signature));
            }
            fit &= Choice::from(u8::from(counts));
            fitting.conditional_assign(&place, fit & !fits);
            fits |= fit;
        }
        if fits.into() {
            // The tags of decoy keys do not belong to the delivery.
            let count = candidates.len();
            candidates.fit();
            receiver.notices.authentic();
            seen.verified(candidates.label(fitting), candidates.webhook_id());
            let webhook = candidates.into_webhook();
            let prefix_signed = !prefix.is_empty();
            return Ok(Signed { tags, count, webhook, prefix_signed, authentic: true });
        }
    }
    // A server never passes on a body whose length differs from the announced one, so a middleware has changed it.
    let announced = super::body::announced(exchange).filter(|length| *length != body.len());
    match announced {
        Some(announced) => receiver.notices.body_changed(announced, body.len()),
        None => notice(receiver, &candidates),
    }
    Err(wrong(&candidates).into())
}

/// Compares the HMACs of the token and of each secret, which reveals neither where they differ nor how long the
/// secret is. The delivery's tag is a digest of its body.
fn verify_token<P>(
    receiver: &Receiver<P>,
    candidates: Candidates<'_>,
    token: &Token,
    body: &[u8],
    seen: &Observation<'_>,
) -> Result<Signed, Reply> {
    let of = |key: Hmac<Sha256>| -> [u8; 32] {
        key.chain_update(b"token").finalize().into_bytes().into()
    };
    let presented = Hmac::new_from_slice(token).map(of).unwrap_or_default();
    let (mut fits, mut fitting) = (Choice::from(0), 0);
    for (place, (key, counts)) in (0_u8..).zip(candidates.keys()) {
        let fit = of(key.clone()).ct_eq(&presented) & Choice::from(u8::from(counts));
        fitting.conditional_assign(&place, fit & !fits);
        fits |= fit;
    }
    if !bool::from(fits) {
        notice(receiver, &candidates);
        return Err(wrong(&candidates).into());
    }
    let mut tags = [[0; 32]; MOST_SECRETS];
    tags[0] = Sha256::digest(body).into();
    candidates.fit();
    receiver.notices.authentic();
    seen.verified(candidates.label(fitting), candidates.webhook_id());
    let webhook = candidates.into_webhook();
    Ok(Signed { tags, count: 1, webhook, prefix_signed: false, authentic: true })
}

/// Logs a notice if it seems that no request could ever match.
fn notice<P>(receiver: &Receiver<P>, candidates: &Candidates<'_>) {
    if !candidates.are_known() {
        receiver.notices.unknown_webhook();
    } else if !candidates.have_fitted() {
        receiver.notices.never_fitted(candidates.webhook_id());
    }
}

fn wrong(candidates: &Candidates<'_>) -> RejectionKind {
    match candidates.are_known() {
        true => RejectionKind::WrongSignature,
        false => RejectionKind::UnknownWebhook,
    }
}

/// Splits a tag into words, to compare eight bytes at once.
fn lanes(tag: &[u8; 32]) -> [u64; 4] {
    let (lanes, _) = tag.as_chunks();
    std::array::from_fn(|place| u64::from_ne_bytes(lanes[place]))
}

impl Signed {
    /// The tags that the receiver computed from the signed bytes, one per active secret. They depend neither on the
    /// secret that signed this attempt nor on how its header writes the signature.
    pub(super) fn tags(&self) -> &[[u8; 32]] {
        &self.tags[..self.count]
    }

    /// Parses the id, the kind and the timestamps of the request. This is the first time that anything in the body is
    /// parsed.
    pub(super) fn envelope<'a, P: Provider>(
        &self,
        receiver: &Receiver<P>,
        exchange: &'a impl Exchange,
        body: &'a [u8],
    ) -> Envelope<'a> {
        let message = Message::new(exchange.headers(), body, self.prefix_signed);
        receiver.provider.envelope(&message)
    }
}
