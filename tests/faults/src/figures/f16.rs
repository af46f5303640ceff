//! F16: one captured request of every kind, replayed under new ids from many addresses. Counts repeated runs,
//! evicted records, and addresses that become exempt from the failure limit.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use scrapest_webhook::testing::{self, SignedRequest, WebhookRequest};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Options, Violations};
use crate::receiver::{FAILURES, Framework};
use crate::sender::SECRET;
use crate::servers::Store;
use crate::site::Site;

/// The layer's default run limit of a test event without a timestamp.
const RUNS_IN_ALL: usize = 20;
/// The sender's address, and the first address of the attackers.
const SENDER: u32 = u32::from_be_bytes([127, 0, 0, 3]);
const ATTACKERS: u32 = u32::from_be_bytes([127, 1, 0, 1]);

struct Size {
    replays: usize,
    addresses: u32,
    /// Deliveries of each sender that are stored before the attack.
    watched: usize,
    /// The number of these addresses that later send forgeries.
    forgers: u32,
}

const FULL: Size = Size { replays: 100_000, addresses: 1_000, watched: 200, forgers: 50 };
const SHORT: Size = Size { replays: 2_000, addresses: 50, watched: 50, forgers: 5 };

/// A captured request.
#[derive(Clone)]
struct Captured {
    kind: &'static str,
    request: SignedRequest,
    path: &'static str,
    id_header: &'static str,
    /// The number of times that it may run.
    most_runs: usize,
}

fn captured() -> Vec<Captured> {
    let of = |kind, request: WebhookRequest, path, id_header, most_runs| {
        let request = request.with_delivery_id(format!("{kind}-captured")).sign();
        Captured { kind, request, path, id_header, most_runs }
    };
    let scrapest = |kind, request: WebhookRequest, runs| {
        of(kind, request, "/scrapest", "x-scrapest-delivery-id", runs)
    };
    let contract_1 = |kind, request: WebhookRequest, runs| {
        of(kind, request, "/scrapebadger", "x-scrapebadger-delivery-id", runs)
    };
    let contract_2 = |kind, request: WebhookRequest, runs| {
        of(kind, request, "/scrapebadger", "x-delivery-id", runs)
    };
    let new = || testing::scrapest(SECRET);
    let (one, two) =
        (|| testing::scrapebadger(SECRET), || testing::scrapebadger_contract_2(SECRET));
    vec![
        scrapest("created", new(), 1),
        scrapest("signed-time", new().with_signed_timestamp(), 1),
        scrapest("x", new().with_kind("x"), 1),
        scrapest("fast-x", new().with_kind("fast-x"), 1),
        scrapest("telegram", new().with_kind("telegram"), 1),
        scrapest("discord", new().with_kind("discord"), 1),
        scrapest("challenge", new().with_kind("webhook.verification"), 0),
        contract_1("tweet", one(), 1),
        contract_1("test-dated", one().with_kind("test"), 1),
        contract_1("test", one().with_body(r#"{"type":"test"}"#), RUNS_IN_ALL),
        contract_2("detected", two(), 1),
        contract_2("test-2-dated", two().with_kind("test"), 1),
        contract_2("test-2", two().with_body(r#"{"event":"test"}"#), RUNS_IN_ALL),
    ]
}

impl Captured {
    fn under(&self, id: &str) -> SignedRequest {
        self.request.clone().with_header(self.id_header, format!("{}-{id}", self.kind))
    }
}

pub async fn run(options: &Options) -> Result<Violations> {
    let mut violations = Vec::new();
    for &framework in &options.frameworks {
        let found = one(options, framework).await?;
        violations.extend(found.into_iter().map(|found| format!("f16 {framework:?}: {found}")));
    }
    Ok(violations)
}

async fn one(options: &Options, framework: Framework) -> Result<Violations> {
    let size = if options.full { FULL } else { SHORT };
    let mut site = tokio::task::block_in_place(|| Site::new(Store::Memory, framework, 1, 0))?;
    site.setup.guarded = true;
    tokio::task::block_in_place(|| site.start(0, None))?;
    let (address, captured) = (site.receivers[0].address, captured());

    let sender = Address::new(SENDER, address);
    let mut watched = Vec::new();
    for number in 0..size.watched {
        for one in [&captured[0], &captured[7]] {
            let again = match one.path {
                "/scrapest" => testing::scrapest(SECRET),
                _ => testing::scrapebadger(SECRET),
            };
            // A different body each, because two deliveries of one second would have the same bytes.
            let time = std::time::SystemTime::now() - Duration::from_millis(number as u64);
            let request = again.with_time(time).with_delivery_id(format!("watched-{number}"));
            watched.push(Captured { kind: "watched", request: request.sign(), ..one.clone() });
        }
    }
    for one in watched.iter().chain(&captured) {
        let status = sender.send(one.path, &one.request).await?;
        ensure!(status == 200, "{} was answered {status}", one.kind);
    }
    let runs_before = site.history()?.deliveries.values().map(|one| one.effects()).sum::<usize>();

    let began = Instant::now();
    let statuses = replay(address, &size, Arc::new(captured.clone())).await?;
    let took = began.elapsed();
    let forged = forge(address, &size, &sender).await?;
    for (number, one) in watched.iter().enumerate() {
        sender.send(one.path, &one.under(&format!("again-{number}"))).await?;
        sender.send(one.path, &one.request).await?;
    }

    let mut runs = BTreeMap::<&str, usize>::new();
    let history = site.history()?;
    for (id, delivery) in &history.deliveries {
        let kind = captured.iter().map(|one| one.kind).filter(|kind| id.starts_with(kind));
        // The longest match, because `test-dated-…` begins with `test` too.
        let kind = kind.max_by_key(|kind| kind.len()).unwrap_or("watched");
        *runs.entry(kind).or_default() += delivery.effects();
    }
    println!(
        "f16 {framework:?}: {} replays of {} kinds from {} addresses in {took:.0?}: {statuses:?}; \
         runs {runs:?}; forged {forged}",
        size.replays,
        captured.len(),
        size.addresses,
    );
    let mut found = forged.violations();
    if statuses.keys().any(|status| *status != 200) {
        found.push(format!("answers {statuses:?}, expected 200 alone"));
    }
    for one in &captured {
        let count = runs.get(one.kind).copied().unwrap_or(0);
        if count > one.most_runs {
            found.push(format!(
                "{} ran {count} times, expected at most {}",
                one.kind, one.most_runs
            ));
        }
    }
    let count = runs.get("watched").copied().unwrap_or(0);
    if count != 2 * size.watched {
        found.push(format!("{count} of {} that were remembered: some ran again", 2 * size.watched));
    }
    if runs_before < watched.len() {
        found.push(format!("{runs_before} runs before the replays, expected {}", watched.len()));
    }
    Ok(found)
}

/// Returns the number of answers by status.
async fn replay(
    receiver: SocketAddr,
    size: &Size,
    captured: Arc<Vec<Captured>>,
) -> Result<BTreeMap<u16, usize>> {
    const AT_ONCE: usize = 16;
    let (replays, addresses) = (size.replays, size.addresses as usize);
    let mut workers = JoinSet::new();
    for worker in 0..AT_ONCE {
        let captured = Arc::clone(&captured);
        workers.spawn(async move {
            let mut statuses = BTreeMap::<u16, usize>::new();
            for place in (worker..addresses).step_by(AT_ONCE) {
                let from = Address::new(ATTACKERS + place as u32, receiver);
                for number in (place..replays).step_by(addresses) {
                    // Each address sends every kind.
                    let one = &captured[(number / addresses + place) % captured.len()];
                    let status = from.send(one.path, &one.under(&number.to_string())).await?;
                    *statuses.entry(status).or_default() += 1;
                }
            }
            anyhow::Ok(statuses)
        });
    }
    let mut all = BTreeMap::new();
    while let Some(statuses) = workers.join_next().await {
        for (status, count) in statuses?? {
            *all.entry(status).or_default() += count;
        }
    }
    Ok(all)
}

/// The results of three times as many forgeries as the limit allows, from some of the replaying addresses and
/// the sender.
#[derive(Default)]
struct Forged {
    /// The most 401 answers to a replaying address, and the number that the limit allowed.
    most: u32,
    allowed: u32,
    sender_limited: u32,
}

async fn forge(receiver: SocketAddr, size: &Size, sender: &Address) -> Result<Forged> {
    let forged = testing::scrapest("another secret, or none at all").sign();
    let mut seen = Forged::default();
    for place in 0..size.forgers {
        let from = Address::new(ATTACKERS + place, receiver);
        let (began, mut unauthorized) = (Instant::now(), 0);
        for _ in 0..3 * FAILURES {
            unauthorized += u32::from(from.send("/scrapest", &forged).await? == 401);
        }
        // The budget refills over time.
        let back = began.elapsed().as_secs_f64() * f64::from(FAILURES) / 60.0;
        let allowed = FAILURES + 1 + back.ceil() as u32;
        if unauthorized >= seen.most {
            (seen.most, seen.allowed) = (unauthorized, seen.allowed.max(allowed));
        }
    }
    for _ in 0..3 * FAILURES {
        seen.sender_limited += u32::from(sender.send("/scrapest", &forged).await? != 401);
    }
    Ok(seen)
}

impl Forged {
    fn violations(&self) -> Violations {
        let mut found = Vec::new();
        if self.most > self.allowed {
            found.push(format!(
                "an address that only replayed was answered 401 {} times, expected at most {}",
                self.most, self.allowed
            ));
        }
        if self.most == 0 {
            found.push("no forgery was answered 401".to_owned());
        }
        if self.sender_limited > 0 {
            found.push(format!("the sender lost its exemption: {} not 401", self.sender_limited));
        }
        found
    }
}

impl std::fmt::Display for Forged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { most, allowed, sender_limited } = self;
        write!(f, "{most} × 401 of {allowed} allowed, sender limited {sender_limited} times")
    }
}

/// A client with its own address.
struct Address {
    client: Client<HttpConnector, Full<bytes::Bytes>>,
    receiver: SocketAddr,
}

impl Address {
    fn new(source: u32, receiver: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(IpAddr::V4(Ipv4Addr::from(source))));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, receiver }
    }

    async fn send(&self, path: &str, request: &SignedRequest) -> Result<u16> {
        let request = request.clone().into_http(&format!("http://{}{path}", self.receiver));
        let answer = self.client.request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        Ok(status)
    }
}
