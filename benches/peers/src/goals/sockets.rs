//! The CPU that servers take for a delivery over sockets, as the kernel accounts for it, not how many there were in a
//! second. Each delivery is new and signed beforehand, and each server is a process of its own.

use peers::client::{Client, on_the_wire};
use peers::cpu::{Cpu, summary};
use peers::server::Server;
use peers::{request, signed};

/// What is sent to a server, and how it has to answer.
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

    /// Nanoseconds for each of so many deliveries, of which as many are sent at once as there are connections.
    pub fn send(&self, connections: usize, deliveries: usize) -> f64 {
        // New ones each time: a server may have closed those of the last.
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

/// All in turns, so that what disturbs one round disturbs it for all.
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
