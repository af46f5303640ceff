//! The parts of G3 and G4 over sockets: a body of the maximum size, beside the HMAC of the same number of bytes
//! in the same run.

use peers::cpu::{Cpu, on_one_core};
use peers::hmac_in_cache;
use peers::server::Server;

use super::row::Row;
use super::sockets::{Sender, in_turns};

const BYTES: usize = 1_048_576;
/// Deliveries per server and round.
const DELIVERIES: usize = 10;

pub fn verified(rounds: usize) {
    let cpu = on_one_core(|| {
        let servers = ["bare", "ours", "floor"].map(|name| Server::this(&["serve", name]));
        let hmac = || hmac_in_cache(DELIVERIES, BYTES).as_nanos() as f64;
        let turns = servers.each_ref().map(|server| {
            let sender = Sender::genuine(server, BYTES);
            move || sender.send(1, DELIVERIES)
        });
        in_turns(rounds, &[&hmac, &turns[0], &turns[1], &turns[2]])
    });
    let [hmac, bare, ours, floor] = *cpu else { panic!("four were measured") };
    let added = |of: fn(&Cpu) -> f64, to: &Cpu| (of(to) - of(&bare)) / of(&hmac);
    let what = "1 MB over sockets: added CPU";
    Row::ratio("G3", what, ("≤ 1.12 × the HMAC", 1.12), |of| added(of, &ours))
        .with(&format!(", the floor {:.2} ×", added(|cpu| cpu.median, &floor)))
        .print();
}

/// Measures requests that are refused by their headers. The body is read and dropped, so that the sender sees
/// the answer.
pub fn refused(rounds: usize) {
    let cpu = on_one_core(|| {
        let server = Server::this(&["serve", "ours"]);
        let verified = Sender::genuine(&server, BYTES);
        let refused = Sender {
            signature: "x-signature-of-another-sender",
            status: 401,
            ..Sender::genuine(&server, BYTES)
        };
        let (refused, verified) = (|| refused.send(1, DELIVERIES), || verified.send(1, DELIVERIES));
        in_turns(rounds, &[&refused, &verified])
    });
    let what = "1 MB over sockets, refused by its headers, its bytes drained";
    Row::share("G4", what, "one verified", 4., [cpu[0], cpu[1]]).print();
}
