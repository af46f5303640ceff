//! Step 3: that the sender wrote these bytes.

use hmac::Mac;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Exchange;
use crate::observe::Observation;
use crate::provider::{Envelope, Message, Provider};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::secret::{MOST_SECRETS, Webhook, WebhookRef};

/// What the signature vouches for.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    tags: [[u8; 32]; MOST_SECRETS],
    /// How many of them there are.
    count: usize,
    /// Whose secret it was, in a layer of several.
    pub(super) webhook: Option<Webhook>,
    prefix_signed: bool,
    /// `false` only for what may turn out to be a challenge that the settings answer unsigned.
    pub(super) authentic: bool,
}

/// Every active secret is tried without an early exit, so that neither time nor answer tells which one
/// fitted; its label is looked up only once one has. Which bytes are signed is no secret: the next prefix is
/// tried only if the one before fails.
pub(super) fn verify<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    signature: Option<[u8; 32]>,
    body: &[u8],
    seen: &Observation<'_>,
) -> Result<Signed, Reply> {
    let mut tags = [[0; 32]; MOST_SECRETS];
    let Some(signature) = signature else {
        let (webhook, prefix_signed, authentic) = (None, false, false);
        return Ok(Signed { tags, count: 0, webhook, prefix_signed, authentic });
    };
    let candidates = receiver.secrets.now(|| {
        let id = receiver.provider.webhook_id(exchange.headers());
        WebhookRef::new(id, exchange.path())
    });
    for prefix in receiver.provider.signed_prefixes(exchange.headers()) {
        let (mut fits, mut fitting) = (Choice::from(0), 0);
        for ((place, tag), (key, counts)) in (0_u8..).zip(&mut tags).zip(candidates.keys()) {
            let mut mac = key.clone();
            mac.update(&prefix);
            mac.update(body);
            let computed: [u8; 32] = mac.finalize().into_bytes().into();
            let fit = lanes(&computed).ct_eq(&lanes(&signature)) & Choice::from(u8::from(counts));
            fitting.conditional_assign(&place, fit & !fits);
            fits |= fit;
            *tag = computed;
        }
        if fits.into() {
            // Those of decoys are no tags of the delivery.
            let count = candidates.len();
            seen.verified(candidates.label(fitting), candidates.webhook_id());
            let webhook = candidates.into_webhook();
            let prefix_signed = !prefix.is_empty();
            return Ok(Signed { tags, count, webhook, prefix_signed, authentic: true });
        }
    }
    Err(match candidates.are_known() {
        true => RejectionKind::WrongSignature.into(),
        false => RejectionKind::UnknownWebhook.into(),
    })
}

/// A tag in as few pieces as can be compared at once.
fn lanes(tag: &[u8; 32]) -> [u64; 4] {
    let (lanes, _) = tag.as_chunks();
    std::array::from_fn(|place| u64::from_ne_bytes(lanes[place]))
}

impl Signed {
    /// The tags that we compute of the signed bytes under each active secret: the same whichever of them
    /// an attempt is signed with, and however its header spells the tag.
    pub(super) fn tags(&self) -> &[[u8; 32]] {
        &self.tags[..self.count]
    }

    /// What the request says of itself: the first look at anything in the body.
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
