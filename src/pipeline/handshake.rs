//! Step 5: an authentic challenge is answered here and goes no further.

use super::signature::Signed;
use crate::access::Client;
use crate::provider::Envelope;
use crate::rejection::{RejectionKind, Reply};

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
        // It came so far only because it might have been a challenge.
        None => Err(RejectionKind::MissingSignature.into()),
    }
}
