//! What verification adds to the server's CPU for a large body, beside the HMAC of as many bytes in the same run.

use peers::client::{Client, on_the_wire};
use peers::cpu::{self, Cpu};
use peers::server::Server;
use peers::{hmac_in_cache, request, signed};

/// 64 kB, and the limit of the body; and how many of them are a turn.
const SIZES: [(usize, usize); 2] = [(65_536, 100), (1_048_576, 10)];
const ROUNDS: usize = 40;
const SERVERS: [(&str, &str); 3] = [
    ("bare", "x-scrapebadger-signature"),
    ("ours", "x-scrapebadger-signature"),
    ("webhook-verify", "x-hub-signature-256"),
];

pub(crate) fn compare() {
    for (bytes, deliveries) in SIZES {
        measure(bytes, deliveries);
    }
}

/// All in turns, so that what disturbs one round disturbs it for all.
fn measure(bytes: usize, deliveries: usize) {
    let servers = SERVERS.map(|(name, _)| Server::this(&["serve", name]));
    let mut clients = servers.each_ref().map(|server| Client::connect(server.port));
    let mut times = [const { Vec::new() }; 1 + SERVERS.len()];
    // The first round warms up.
    for round in 0..=ROUNDS {
        let mut took = vec![hmac_in_cache(deliveries, bytes)];
        for ((server, client), (_, signature)) in servers.iter().zip(&mut clients).zip(SERVERS) {
            let prepared = (0..deliveries).map(|_| request(signed(bytes), signature, &[]));
            let prepared = Vec::from_iter(prepared.map(|request| on_the_wire(&request)));
            let began = server.cpu_time();
            prepared.iter().for_each(|request| client.deliver(request));
            took.push((server.cpu_time() - began) / u32::try_from(deliveries).unwrap());
        }
        if round > 0 {
            for (times, took) in times.iter_mut().zip(took) {
                times.push(took.as_nanos() as f64);
            }
        }
    }
    table(bytes, times.map(cpu::summary));
}

fn table(bytes: usize, [hmac, bare, ours, webhook_verify]: [Cpu; 4]) {
    println!("\n### A body of {bytes} bytes, over a socket\n");
    println!(
        "| | CPU a delivery, µs: median / least | added / the HMAC: median / least |\n|---|---|---|"
    );
    let micros = |cpu: Cpu| format!("{:.1} / {:.1}", cpu.median / 1e3, cpu.least / 1e3);
    println!("| the HMAC alone | {} | |", micros(hmac));
    println!("| bare axum, `Bytes` | {} | |", micros(bare));
    for (name, cpu) in [("ours", ours), ("webhook-verify", webhook_verify)] {
        let median = (cpu.median - bare.median) / hmac.median;
        let least = (cpu.least - bare.least) / hmac.least;
        println!("| {name} | {} | {median:.2} / {least:.2} |", micros(cpu));
    }
}
