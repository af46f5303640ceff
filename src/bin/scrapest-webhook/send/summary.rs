//! The results of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde_json::json;

use super::attack::Attack;
use super::post::Answer;

/// A day, in microseconds; a longer latency counts as this.
const LONGEST: u64 = 24 * 3_600 * 1_000_000;

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Delivered,
    GaveUp,
    /// An attack was answered with anything but 2xx.
    Refused,
    /// An attack was answered with 2xx.
    Accepted,
    /// An attack got no response, or the request before it was not accepted.
    Unanswered,
}

#[derive(Clone, Debug)]
pub(super) struct Summary {
    attack: Option<Attack>,
    deliveries: u64,
    delivered: u64,
    gave_up: u64,
    refused: u64,
    accepted: u64,
    unanswered: u64,
    attempts: u64,
    retries: u64,
    answers: BTreeMap<String, u64>,
    /// In microseconds, for every attempt that got a response.
    latency: Histogram<u64>,
    pub(super) took: Duration,
}

impl Summary {
    pub(super) fn new(attack: Option<Attack>, deliveries: u64) -> Result<Self> {
        Ok(Self {
            attack,
            deliveries,
            delivered: 0,
            gave_up: 0,
            refused: 0,
            accepted: 0,
            unanswered: 0,
            attempts: 0,
            retries: 0,
            answers: BTreeMap::new(),
            latency: Histogram::new_with_max(LONGEST, 3)?,
            took: Duration::ZERO,
        })
    }

    pub(super) fn answered(&mut self, answer: &Answer, latency: Duration, is_retry: bool) {
        self.attempts += 1;
        self.retries += u64::from(is_retry);
        *self.answers.entry(answer.label()).or_default() += 1;
        if let Answer::Status(_) = answer {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latency.saturating_record(micros);
        }
    }

    pub(super) fn ended(&mut self, end: End) {
        *match end {
            End::Delivered => &mut self.delivered,
            End::GaveUp => &mut self.gave_up,
            End::Refused => &mut self.refused,
            End::Accepted => &mut self.accepted,
            End::Unanswered => &mut self.unanswered,
        } += 1;
    }

    /// Deliveries that Ctrl-C has interrupted or prevented.
    fn unfinished(&self) -> u64 {
        let ended = self.delivered + self.gave_up + self.refused + self.accepted + self.unanswered;
        self.deliveries.saturating_sub(ended)
    }

    pub(super) fn is_success(&self) -> bool {
        let fell_for_it = self.accepted > 0 && self.attack != Some(Attack::ReplayNewId);
        self.gave_up == 0 && self.unanswered == 0 && self.unfinished() == 0 && !fell_for_it
    }

    /// In milliseconds: p50, p90, p99, max.
    fn latencies(&self) -> [(&'static str, f64); 4] {
        let at = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        [
            ("p50", at(self.latency.value_at_quantile(0.5))),
            ("p90", at(self.latency.value_at_quantile(0.9))),
            ("p99", at(self.latency.value_at_quantile(0.99))),
            ("max", at(self.latency.max())),
        ]
    }

    pub(super) fn to_json(&self) -> String {
        let latency: BTreeMap<_, _> = self.latencies().into_iter().collect();
        let attack = self.attack.map(|attack| {
            json!({
                "flag": attack.flag(),
                "refused": self.refused,
                "accepted": self.accepted,
                "unanswered": self.unanswered,
            })
        });
        let summary = json!({
            "deliveries": self.deliveries,
            "delivered": self.delivered,
            "gave_up": self.gave_up,
            "unfinished": self.unfinished(),
            "attempts": self.attempts,
            "retries": self.retries,
            "answers": self.answers,
            "latency_ms": (!self.latency.is_empty()).then_some(latency),
            "seconds": self.took.as_secs_f64(),
            "attack": attack,
        });
        format!("{summary}\n")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attack {
            None => writeln!(
                f,
                "deliveries  {}: {} delivered, {} given up",
                self.deliveries, self.delivered, self.gave_up
            )?,
            Some(attack) => {
                let flag = attack.flag();
                if self.refused > 0 {
                    writeln!(f, "{flag}: {} refused", self.refused)?;
                }
                if self.accepted > 0 {
                    writeln!(
                        f,
                        "{flag}: {} answered with 2xx: {}",
                        self.accepted,
                        attack.accepted()
                    )?;
                }
                if self.unanswered > 0 {
                    let what = match attack {
                        Attack::ReplayNewId => {
                            "neither accepted nor refused, or the delivery before was not accepted"
                        }
                        _ => "neither accepted nor refused",
                    };
                    writeln!(f, "{flag}: {} {what}: this proves nothing", self.unanswered)?;
                }
            }
        }
        if self.unfinished() > 0 {
            writeln!(f, "interrupted {} were not finished", self.unfinished())?;
        }
        writeln!(f, "attempts    {}, {} of them retries", self.attempts, self.retries)?;
        let answers: Vec<_> =
            self.answers.iter().map(|(label, count)| format!("{count} × {label}")).collect();
        writeln!(f, "answers     {}", answers.join(", "))?;
        if !self.latency.is_empty() {
            let latencies = self.latencies().map(|(name, ms)| format!("{name} {ms:.1} ms"));
            writeln!(f, "latency     {}", latencies.join(", "))?;
        }
        writeln!(f, "took        {:.2} s", self.took.as_secs_f64())
    }
}
