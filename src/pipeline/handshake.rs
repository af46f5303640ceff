//! Step 5: answers an authentic challenge, which does not reach the handler.

use hmac::Mac;

use super::Exchange;
use super::signature::Signed;
use crate::access::Client;
use crate::provider::{Envelope, Provider, Query};
use crate::receiver::Receiver;
use crate::rejection::{RejectionKind, Reply};
use crate::secret::WebhookRef;

pub(super) fn answer(
    envelope: &Envelope<'_>,
    signed: &Signed,
    client: &mut Client,
) -> Result<(), Reply> {
    match &envelope.challenge {
        Some(challenge) => {
            client.forgive();
            Err(Reply::challenge(challenge.clone()))
        }
        None if signed.authentic => Ok(()),
        // The request passed step 3 only because it might have been a challenge.
        None => Err(RejectionKind::MissingSignature.into()),
    }
}

/// Answers a GET in which the sender asks for the signature of a text. Later steps refuse any other GET.
///
/// Anyone can send such a GET, so the text must not be a possible body of an event.
pub(super) fn answer_get<P: Provider>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
    client: &mut Client,
) -> Result<(), Reply> {
    if exchange.method() != "GET" {
        return Ok(());
    }
    let provider = &receiver.provider;
    let text =
        provider.get_challenge(Query::new(exchange.query())).filter(|text| is_harmless(text));
    let Some(text) = text else { return Ok(()) };
    let candidates = receiver
        .secrets
        .now(|| WebhookRef::new(provider.webhook_id(exchange.headers()), exchange.path()));
    if !candidates.are_known() {
        return Err(RejectionKind::UnknownWebhook.into());
    }
    let tag = candidates.keys().next().map(|(key, _)| key.clone().chain_update(text).finalize());
    let tag: Option<[u8; 32]> = tag.map(|tag| tag.into_bytes().into());
    match tag.and_then(|tag| provider.answer_get_challenge(&tag)) {
        Some(challenge) => {
            client.forgive();
            Err(Reply::challenge(challenge))
        }
        None => Ok(()),
    }
}

fn is_harmless(text: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    (1..=1_024).contains(&text.len()) && text.iter().all(harmless)
}
