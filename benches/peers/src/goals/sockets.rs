//! Measures the CPU time that servers need per delivery over sockets, as the kernel accounts for it, not the
//! deliveries per second. Each delivery is new and signed in advance, and each server is a separate process.

use peers::client::{Client, on_the_wire};
use peers::cpu::{Cpu, summary};
use peers::server::Server;
use peers::{request, signed};

/// The requests for a server, and the expected status.
pub struct Sender<'a> {
    pub server: &'a Server,
    pub signature: &'static str,
    pub status: u16,
    pub bytes: usize,
}

impl<'a> Sender<'a> {
    pub fn genuine(server: &'a Server, bytes: usize) -> Self {
        Self { server, signature: "x-scrapebadger-signature", status: 200, bytes }
    }

    /// Nanoseconds per delivery. As many deliveries are in flight as there are connections.
    pub fn send(&self, connections: usize, deliveries: usize) -> f64 {
        // New connections each time, because a server may have closed the last ones.
        let mut clients =
            Vec::from_iter((0..connections).map(|_| Client::connect(self.server.port)));
        self.deliver(&mut clients, connections);
        self.deliver(&mut clients, deliveries)
    }

    fn deliver(&self, clients: &mut [Client], deliveries: usize) -> f64 {
        let signed = (0..deliveries).map(|_| request(signed(self.bytes), self.signature, &[]));
        let prepared = Vec::from_iter(signed.map(|request| on_the_wire(&request)));
        let began = self.server.cpu_time();
        for at_once in prepared.chunks(clients.len()) {
            for (client, request) in clients.iter_mut().zip(at_once) {
                client.send(request);
            }
            clients.iter_mut().zip(at_once).for_each(|(client, _)| client.receive(self.status));
        }
        (self.server.cpu_time() - began).as_nanos() as f64 / deliveries as f64
    }
}

/// Runs all in turns, so that a disturbance affects all of them.
pub fn in_turns(rounds: usize, turns: &[&dyn Fn() -> f64]) -> Vec<Cpu> {
    let mut times = vec![Vec::new(); turns.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (turn, times) in turns.iter().zip(&mut times) {
            let nanos = turn();
            if round > 0 {
                times.push(nanos);
            }
        }
    }
    times.into_iter().map(summary).collect()
}
