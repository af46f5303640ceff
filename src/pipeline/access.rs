//! Ahead of step 1, where the settings ask for it: who may send at all, by address. Whoever may not
//! learns nothing but that, whatever he sent.

use super::Exchange;
use crate::access::Client;
use crate::receiver::Receiver;
use crate::rejection::Reply;

pub(super) fn check<P>(receiver: &Receiver<P>, exchange: &impl Exchange) -> Result<Client, Reply> {
    match receiver.access.is_open() {
        true => Ok(Client::default()),
        false => receiver.access.admit(exchange.peer(), exchange.headers()),
    }
}
