//! Ahead of step 1, where the settings ask for it: who may send at all, by address. Whoever may not
//! learns nothing but that, whatever he sent.

use super::Exchange;
use crate::access::Visitor;
use crate::config::Config;
use crate::rejection::Reply;

pub(super) fn check<P>(config: &Config<P>, exchange: &impl Exchange) -> Result<Visitor, Reply> {
    match config.access.is_open() {
        true => Ok(Visitor::default()),
        false => config.access.admit(exchange.peer(), exchange.headers()),
    }
}
