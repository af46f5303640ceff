//! Ahead of step 1, where the settings ask for it: which addresses may send. The answer to an address that may not
//! does not depend on what it sent.

use std::net::IpAddr;

use super::Exchange;
use crate::access::Client;
use crate::receiver::Receiver;
use crate::rejection::Reply;
use crate::run_state::RunState;

/// The address under which a failure of this request counts, if it counts.
pub(super) fn check<P>(
    receiver: &Receiver<P>,
    exchange: &impl Exchange,
) -> Result<Option<IpAddr>, Reply> {
    match receiver.access.is_open() {
        true => Ok(None),
        false => receiver.access.counted(exchange.peer(), exchange.headers()),
    }
}

pub(super) async fn admit<P>(
    receiver: &Receiver<P>,
    counted: Option<IpAddr>,
    run: &RunState,
) -> Result<Client, Reply> {
    #[cfg(feature = "throttle")]
    if let Some(address) = counted {
        let patience = run.arrived() + receiver.body_deadline;
        // Boxed: most layers ask for no address, and their deliveries do not carry the room for it.
        return Box::pin(receiver.access.admit(address, patience)).await;
    }
    _ = (receiver, counted, run);
    Ok(Client::default())
}
