//! Before step 1, if configured: checks whether the address may send. The answer to a blocked address does not depend
//! on the request.

use std::net::IpAddr;

use super::Exchange;
use crate::access::Client;
use crate::receiver::Receiver;
use crate::rejection::Reply;
use crate::run_state::RunState;

/// Returns the address to which a failure of this request is charged, if failures are counted.
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
        // Boxed: most layers do not check addresses, and their deliveries should not carry its size.
        return Box::pin(receiver.access.admit(address, patience)).await;
    }
    _ = (receiver, counted, run);
    Ok(Client::default())
}
