//! All deliveries of a run: when each starts, and how often it is retried.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::join_all;
use indicatif::ProgressBar;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Template;
use super::attack::Attack;
use super::post::{Answer, Client, Outgoing};
use super::summary::{End, Summary};
use crate::output;

/// With more deliveries than this, retries are only counted.
const FEW: u32 = 20;

#[derive(Debug)]
pub(super) struct Run {
    pub(super) client: Client,
    pub(super) template: Template,
    pub(super) attack: Option<Attack>,
    pub(super) count: u32,
    pub(super) rate: Option<f64>,
    pub(super) concurrency: usize,
    /// How often each delivery is sent at the same time.
    pub(super) copies: usize,
    pub(super) retries: usize,
    pub(super) backoff: Vec<Duration>,
}

impl Run {
    /// Runs until all deliveries have ended, or until Ctrl-C, and returns the results so far.
    pub(super) async fn finish(self) -> Result<Summary> {
        let started = Instant::now();
        let summary = Summary::new(self.attack, u64::from(self.count) * self.copies as u64)?;
        let sending = Arc::new(Sending {
            client: self.client,
            retries: self.retries,
            backoff: self.backoff,
            attack: self.attack,
            says_retries: self.count <= FEW && std::io::stderr().is_terminal(),
            // Hidden if the output is not a terminal.
            bar: if self.count > 1 {
                ProgressBar::new(self.count.into())
            } else {
                ProgressBar::hidden()
            },
            summary: Mutex::new(summary),
        });
        let stop = tokio::signal::ctrl_c();
        tokio::pin!(stop);
        let (mut under_way, mut begun) = (JoinSet::new(), 0);
        while begun < self.count || !under_way.is_empty() {
            let due = match self.rate {
                Some(rate) => started + Duration::from_secs_f64(f64::from(begun) / rate),
                None => Instant::now(),
            };
            tokio::select! {
                _ = &mut stop => break,
                Some(ended) = under_way.join_next(), if !under_way.is_empty() => {
                    ended.context("a delivery has panicked")?;
                    sending.bar.inc(1);
                }
                () = sleep_until(due), if begun < self.count && under_way.len() < self.concurrency => {
                    let delivery = self.template.delivery();
                    let requests = match self.attack {
                        Some(attack) => attack.requests(delivery),
                        None => vec![delivery.sign()],
                    };
                    let requests = requests.into_iter().map(Outgoing::try_from);
                    let requests: Vec<_> = requests.collect::<Result<_>>()?;
                    under_way.spawn(Arc::clone(&sending).deliver(requests, self.copies, due));
                    begun += 1;
                }
            }
        }
        // Ends the deliveries in progress, which count as unfinished.
        under_way.shutdown().await;
        sending.bar.finish_and_clear();
        let mut summary = sending.summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.took = started.elapsed();
        Ok(summary.clone())
    }
}

/// The state that the deliveries of a run share.
struct Sending {
    client: Client,
    retries: usize,
    backoff: Vec<Duration>,
    attack: Option<Attack>,
    says_retries: bool,
    bar: ProgressBar,
    summary: Mutex<Summary>,
}

impl Sending {
    async fn deliver(self: Arc<Self>, requests: Vec<Outgoing>, copies: usize, due: Instant) {
        let Some((request, before)) = requests.split_last() else { return };
        let copies = (0..copies).map(|_| async {
            let end = match self.attack {
                Some(attack) => self.attack(attack, before, request, due).await,
                None => self.persist(request, due).await,
            };
            self.note(|summary| summary.ended(end));
        });
        join_all(copies).await;
    }

    /// Retries like the sender, until the delivery is acknowledged or given up.
    async fn persist(&self, request: &Outgoing, mut due: Instant) -> End {
        for attempt in 0..=self.retries {
            let answer = self.attempt(request, due, attempt > 0).await;
            if answer.is_success() {
                return End::Delivered;
            }
            if attempt < self.retries {
                let pause = self.backoff.get(attempt).or(self.backoff.last());
                let pause = pause.copied().unwrap_or_default();
                if self.says_retries {
                    self.bar.suspend(|| {
                        output::say(format_args!(
                            "attempt {} of {}: {}; the next in {}",
                            attempt + 1,
                            self.retries + 1,
                            answer.label(),
                            humantime::format_duration(pause)
                        ));
                    });
                }
                due = Instant::now() + pause;
                sleep_until(due).await;
            }
        }
        End::GaveUp
    }

    async fn attack(
        &self,
        attack: Attack,
        before: &[Outgoing],
        request: &Outgoing,
        mut due: Instant,
    ) -> End {
        for request in before {
            if !self.attempt(request, due, false).await.is_success() {
                return End::Unanswered;
            }
            due = Instant::now();
        }
        match self.attempt(request, due, false).await {
            answer if answer.is_success() => End::Accepted,
            // A receiver's check answers with these. A 404 or a 502 is not a refusal.
            Answer::Status(400 | 401 | 403 | 408 | 413 | 415 | 422) => End::Refused,
            // A receiver may close the connection before it has read a body that is too large.
            Answer::BrokenOff(_) if attack == Attack::Oversize => End::Refused,
            _ => End::Unanswered,
        }
    }

    async fn attempt(&self, request: &Outgoing, due: Instant, is_retry: bool) -> Answer {
        let answer = self.client.post(request).await;
        let latency = due.elapsed();
        self.note(|summary| summary.answered(&answer, latency, is_retry));
        answer
    }

    fn note(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
