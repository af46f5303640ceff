//! Sends deliveries like the two senders: signed, with their timeouts and retry schedules.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use scrapest_webhook::testing;

use crate::journal::Journal;

pub const SECRET: &str = "whsec_faults_3fb1c8a0d94e4a7fb2c6";

/// The retry schedule of a sender. Neither sender publishes the base of its backoff; 1 s is assumed.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub path: &'static str,
    /// How long it waits for an answer.
    patience: Duration,
    gaps: &'static [u64],
}

/// Five retries, and an answer within 5 s.
pub const SCRAPEST: Schedule =
    Schedule { path: "/scrapest", patience: Duration::from_secs(5), gaps: &[1, 2, 4, 8, 16] };
/// Three retries, and an answer within 10 s.
pub const SCRAPEBADGER: Schedule =
    Schedule { path: "/scrapebadger", patience: Duration::from_secs(10), gaps: &[1, 2, 4] };
/// With longer gaps.
pub const SLOW: Schedule =
    Schedule { path: "/scrapest", patience: Duration::from_secs(5), gaps: &[5, 10, 20, 40, 80] };

impl Schedule {
    pub fn request(
        &self,
        address: SocketAddr,
        id: &str,
        body: Option<Bytes>,
    ) -> Request<Full<Bytes>> {
        let request = match self.path {
            "/scrapest" => testing::scrapest(SECRET),
            _ => testing::scrapebadger(SECRET),
        };
        let request = request.with_delivery_id(id);
        let request = match body {
            Some(body) => request.with_body(body),
            None => request,
        };
        request.sign().into_http(&format!("http://{address}{}", self.path))
    }
}

/// The current receivers: their names and addresses change with each restart.
#[derive(Debug, Default)]
pub struct Fleet(Mutex<Vec<(String, SocketAddr)>>);

impl Fleet {
    pub fn set(&self, place: usize, name: &str, address: SocketAddr) {
        let mut all = self.0.lock().expect("nobody panics with it");
        let member = (name.to_owned(), address);
        match all.get_mut(place) {
            Some(present) => *present = member,
            None => all.push(member),
        }
    }

    fn pick(&self, number: usize) -> (String, SocketAddr) {
        let all = self.0.lock().expect("nobody panics with it");
        all[number % all.len()].clone()
    }
}

#[derive(Clone)]
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
    scale: u32,
}

impl Sender {
    pub fn new(fleet: Arc<Fleet>, journal: Arc<Journal>, scale: u32) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // Each attempt is the sender's own decision and uses a new connection.
            .retry_canceled_requests(false)
            .pool_max_idle_per_host(0)
            .build_http();
        Self { client, fleet, journal, scale }
    }

    /// Sends until a 2xx, or until the schedule is used up. `faults` lists the handler's fault per attempt;
    /// later attempts succeed. Returns the request, to be sent again.
    pub async fn deliver(
        &self,
        schedule: Schedule,
        id: &str,
        first: usize,
        faults: &[&'static str],
    ) -> Request<Full<Bytes>> {
        let request = schedule.request(SocketAddr::from(([127, 0, 0, 1], 0)), id, None);
        let gaps = schedule.gaps.iter().map(|&gap| Duration::from_secs(gap) / self.scale);
        for (attempt, gap) in std::iter::once(Duration::ZERO).chain(gaps).enumerate() {
            tokio::time::sleep(gap).await;
            let fault = faults.get(attempt).copied().unwrap_or("ok");
            let status = self.send(schedule, id, &request, first + attempt, fault).await;
            if (200..300).contains(&status) {
                return request;
            }
        }
        self.journal.note(format_args!("gave-up {id}"));
        request
    }

    /// Makes one attempt. Returns 0 if there was no answer in time.
    pub async fn send(
        &self,
        schedule: Schedule,
        id: &str,
        request: &Request<Full<Bytes>>,
        receiver: usize,
        fault: &'static str,
    ) -> u16 {
        let (name, address) = self.fleet.pick(receiver);
        let mut request = request.clone();
        request.headers_mut().insert("x-fault", HeaderValue::from_static(fault));
        let uri = format!("http://{address}{}", schedule.path);
        *request.uri_mut() = uri.parse().expect("an address and a path are a URI");
        self.journal.note(format_args!("sent {id} {fault} {name}"));
        let answer =
            tokio::time::timeout(schedule.patience / self.scale, self.client.request(request));
        let status = match answer.await {
            Ok(Ok(answer)) => answer.status().as_u16(),
            _ => 0,
        };
        self.journal.note(format_args!("answered {id} {status}"));
        status
    }
}
