//! Decides from the journal what was lost or done twice. Reads only lines of text and shares no code with the
//! crate.
//!
//! | line | written by | when |
//! |---|---|---|
//! | `begin ID RECEIVER FENCE`, `effect …`, `over …` | the handler | it starts, has done it, ends (not if killed) |
//! | `sent ID FAULT RECEIVER`, `answered ID STATUS` | the sender | each attempt; status 0 if there was none |
//! | `gave-up ID` | the sender | its schedule is used up |
//! | `killed RECEIVER`, `stopped …`, `continued …` | the harness | |
//! | `stalled RECEIVER FROM` | the receiver | the machine gave it no time since then |
//! | `store-down`, `store-up` | the harness | |

mod read;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::read::History;
use self::read::{Attempt, Delivery, Run};

/// The receivers' settings that the judge needs, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub lease: u64,
    /// How long an attempt may still fail after an outage of the store or a start of the receiver.
    pub recovery: u64,
    /// Allowed after the end of the lease, or after the arrival of the attempt that takes over.
    pub takeover_slack: u64,
    /// Whether the store dies with its receiver.
    pub forgets: bool,
    /// Whether the store stops with a stopped receiver that was writing to it, like a locked file.
    pub stops_with_a_receiver: bool,
}

#[derive(Debug, Default)]
pub struct Verdict {
    pub deliveries: usize,
    pub acknowledged: usize,
    pub runs: usize,
    pub kills: usize,
    /// Never acknowledged, because a fault hit every attempt of the schedule.
    pub unreachable: Vec<String>,
    /// Done twice, because a kill came between the effect and its record.
    pub excused_doubles: usize,
    /// Done twice, because the store died with its receiver.
    pub forgotten: usize,
    /// Done twice, or concurrently, by a run whose lease ended while its process or store was stopped.
    pub zombies: usize,
    /// From a kill during a run to the run that took over.
    pub longest_takeover: u64,
    pub takeovers: usize,
    pub lost: Vec<String>,
    pub doubles: Vec<String>,
    pub overlaps: Vec<String>,
    pub late_takeovers: Vec<String>,
    pub fences_that_shrank: Vec<String>,
}

impl Verdict {
    pub fn violations(&self) -> Vec<(&'static str, &[String])> {
        let all = [
            ("lost", &self.lost),
            ("double", &self.doubles),
            ("overlap", &self.overlaps),
            ("late takeover", &self.late_takeovers),
            ("fence shrank", &self.fences_that_shrank),
        ];
        all.into_iter()
            .filter(|(_, found)| !found.is_empty())
            .map(|(what, found)| (what, found.as_slice()))
            .collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} deliveries, {} acknowledged, {} runs, {} kills; lost {}, double {} (+{} killed before the record, \
             +{} forgotten), \
             overlap {} (+{} zombies), unreachable {}, takeovers {}, longest {:.2} s",
            self.deliveries,
            self.acknowledged,
            self.runs,
            self.kills,
            self.lost.len(),
            self.doubles.len(),
            self.excused_doubles,
            self.forgotten,
            self.overlaps.len(),
            self.zombies,
            self.unreachable.len(),
            self.takeovers,
            self.longest_takeover as f64 / 1e6,
        )
    }
}

pub fn judge(history: &History, terms: Terms) -> Verdict {
    let mut verdict = Verdict { kills: history.killed.len(), ..Verdict::default() };
    for (id, delivery) in &history.deliveries {
        verdict.deliveries += 1;
        verdict.runs += delivery.runs.len();
        let case = Case { history, terms, delivery };
        case.lost(id, &mut verdict);
        for (place, earlier) in delivery.runs.iter().enumerate() {
            for later in &delivery.runs[place + 1..] {
                case.overlap(id, earlier, later, &mut verdict);
                case.double(id, earlier, later, &mut verdict);
                if later.fence <= earlier.fence {
                    verdict.fences_that_shrank.push(id.clone());
                }
            }
            if let Some(next) = delivery.runs.get(place + 1) {
                case.takeover(id, earlier, next, &mut verdict);
            }
        }
    }
    verdict
}

struct Case<'a> {
    history: &'a History,
    terms: Terms,
    delivery: &'a Delivery,
}

impl Case<'_> {
    fn lost(&self, id: &str, verdict: &mut Verdict) {
        let effect = self.delivery.runs.iter().filter_map(|run| run.effect).min();
        match (self.delivery.acknowledged(), effect) {
            (Some(at), effect) => {
                verdict.acknowledged += 1;
                if effect.is_none_or(|effect| effect > at) {
                    verdict.lost.push(format!("{id} (acknowledged before its effect)"));
                }
            }
            // It was done, and only the acknowledgement was lost.
            (None, Some(_)) => {}
            (None, None) => {
                if let Some(attempt) = self.delivery.attempts.iter().find(|it| self.is_fair(it)) {
                    verdict.lost.push(format!("{id} (in vain at {})", attempt.sent));
                } else {
                    verdict.unreachable.push(id.to_owned());
                }
            }
        }
    }

    /// Whether this attempt had to succeed: everything was up, the handler was set to succeed, and no other
    /// attempt held the delivery.
    fn is_fair(&self, attempt: &Attempt) -> bool {
        let answered = attempt.answered.unwrap_or(u64::MAX);
        let outages = self.interruptions(&attempt.receiver);
        let up = outages.iter().all(|&(from, to)| {
            from > answered || to.saturating_add(self.terms.recovery) < attempt.sent
        });
        let lived = self.history.killed.get(&attempt.receiver).is_none_or(|&at| at > answered);
        let unclaimed = self.delivery.runs.iter().all(|run| {
            let end = run.over.or_else(|| self.killed(run).map(|at| at + self.terms.lease));
            run.begin > answered || end.is_some_and(|end| end < answered)
        });
        // A claim may be held without a run, if its process died between the two.
        let released = self.delivery.attempts.iter().all(|other| {
            let killed = self.history.killed.get(&other.receiver);
            killed.is_none_or(|&at| at < other.sent || at + 2 * self.terms.lease < answered)
        });
        attempt.fault == "ok" && up && lived && unclaimed && released
    }

    fn overlap(&self, id: &str, earlier: &Run, later: &Run, verdict: &mut Verdict) {
        let end = earlier.over.or_else(|| self.killed(earlier)).unwrap_or(u64::MAX);
        if later.begin >= end {
            return;
        }
        if self.lost_its_lease(earlier, later) {
            verdict.zombies += 1;
        } else {
            verdict.overlaps.push(format!(
                "{id} ({} at {} and {} at {})",
                earlier.receiver, earlier.begin, later.receiver, later.begin
            ));
        }
    }

    fn double(&self, id: &str, earlier: &Run, later: &Run, verdict: &mut Verdict) {
        let (Some(first), Some(_)) = (earlier.effect, later.effect) else { return };
        let killed_unrecorded = self.killed(earlier).is_some_and(|killed| {
            let heard = self.delivery.acknowledged().is_some_and(|at| at < later.begin);
            let store_was_away = self
                .history
                .outages
                .iter()
                .any(|&(from, to)| from < killed && to + self.terms.recovery > first);
            killed < later.begin && (!heard || store_was_away || self.terms.forgets)
        });
        if killed_unrecorded && self.terms.forgets {
            verdict.forgotten += 1;
        } else if killed_unrecorded {
            verdict.excused_doubles += 1;
        } else if self.lost_its_lease(earlier, later) {
            verdict.zombies += 1;
        } else {
            verdict.doubles.push(format!(
                "{id} ({} at {} and {} at {})",
                earlier.receiver, earlier.begin, later.receiver, later.begin
            ));
        }
    }

    /// Whether the first run could not renew its lease or record its success for so long that another may have
    /// taken over, because its process or the store was stopped.
    fn lost_its_lease(&self, earlier: &Run, later: &Run) -> bool {
        // It is renewed every third of its time, so at least two thirds are left when everything stops.
        let least_left = self.terms.lease * 2 / 3;
        // A success without an acknowledgement may not have been recorded when everything stopped.
        let end = self.delivery.acknowledged().unwrap_or(u64::MAX);
        self.interruptions(&earlier.receiver)
            .into_iter()
            .any(|(from, to)| from < end && to > earlier.begin && later.begin >= from + least_left)
    }

    fn takeover(&self, id: &str, earlier: &Run, next: &Run, verdict: &mut Verdict) {
        let (None, Some(killed)) = (earlier.over, self.killed(earlier)) else { return };
        let Some(attempt) =
            self.delivery.attempts.iter().rev().find(|attempt| attempt.sent <= next.begin)
        else {
            return;
        };
        // A takeover needs the end of the lease, another attempt, and a store that is up.
        let store_up = self.history.outages.iter().filter(|(from, _)| *from < next.begin);
        let store_up = store_up.map(|&(_, to)| to + self.terms.recovery).max().unwrap_or(0);
        let due = (killed + self.terms.lease).max(attempt.sent).max(store_up);
        let took = next.begin.saturating_sub(killed);
        verdict.takeovers += 1;
        verdict.longest_takeover = verdict.longest_takeover.max(took);
        if next.begin > due + self.terms.takeover_slack {
            verdict.late_takeovers.push(format!("{id} ({:.2} s)", took as f64 / 1e6));
        }
    }

    /// The times when a receiver could not renew a lease: it was stopped, or the store was down.
    fn interruptions(&self, receiver: &str) -> Vec<(u64, u64)> {
        let stops = self
            .history
            .stops
            .iter()
            .filter(|(stopped, _)| *stopped == receiver || self.terms.stops_with_a_receiver);
        let stops = stops.flat_map(|(_, stops)| stops);
        self.history.outages.iter().chain(stops).copied().collect()
    }

    fn killed(&self, run: &Run) -> Option<u64> {
        self.history.killed.get(&run.receiver).copied()
    }
}
