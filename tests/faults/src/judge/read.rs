//! Reads the journal.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail};

#[derive(Debug, Default)]
pub struct History {
    pub deliveries: BTreeMap<String, Delivery>,
    pub(super) killed: HashMap<String, u64>,
    /// Outages of the store.
    pub(super) outages: Vec<(u64, u64)>,
    /// Times when receivers were stopped, until they were continued.
    pub(super) stops: HashMap<String, Vec<(u64, u64)>>,
    /// The number of machine stalls that affected a receiver.
    pub stalls: usize,
}

#[derive(Debug, Default)]
pub struct Delivery {
    pub attempts: Vec<Attempt>,
    pub runs: Vec<Run>,
}

#[derive(Debug)]
pub struct Attempt {
    pub sent: u64,
    pub answered: Option<u64>,
    pub status: u16,
    pub fault: String,
    pub receiver: String,
}

#[derive(Debug)]
pub struct Run {
    pub begin: u64,
    pub effect: Option<u64>,
    pub over: Option<u64>,
    pub receiver: String,
    pub fence: u64,
}

impl Delivery {
    /// The time of the first success that reached the sender.
    pub fn acknowledged(&self) -> Option<u64> {
        let heard = self.attempts.iter().filter(|attempt| (200..300).contains(&attempt.status));
        heard.filter_map(|attempt| attempt.answered).min()
    }

    pub fn effects(&self) -> usize {
        self.runs.iter().filter(|run| run.effect.is_some()).count()
    }
}

impl History {
    pub fn read(journal: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(journal)?;
        let mut history = Self::default();
        for line in text.lines() {
            history.take(line).with_context(|| format!("journal: {line:?}"))?;
        }
        // Lines are in the order of writing, which may differ from the order of their times on a busy machine.
        for delivery in history.deliveries.values_mut() {
            delivery.runs.sort_by_key(|run| run.begin);
            delivery.attempts.sort_by_key(|attempt| attempt.sent);
        }
        Ok(history)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        let (&at, what) = words.split_first().context("empty")?;
        let at: u64 = at.parse()?;
        match *what {
            ["begin", id, receiver, fence] => self.of(id).runs.push(Run {
                begin: at,
                effect: None,
                over: None,
                receiver: receiver.to_owned(),
                fence: fence.parse()?,
            }),
            ["effect", id, receiver, fence] => self.run(id, receiver, fence)?.effect = Some(at),
            ["over", id, receiver, fence] => self.run(id, receiver, fence)?.over = Some(at),
            ["sent", id, fault, receiver] => self.of(id).attempts.push(Attempt {
                sent: at,
                answered: None,
                status: 0,
                fault: fault.to_owned(),
                receiver: receiver.to_owned(),
            }),
            ["answered", id, status] => {
                let attempts = &mut self.of(id).attempts;
                let attempt = attempts.iter_mut().rev().find(|it| it.answered.is_none());
                let attempt = attempt.context("answered, not sent")?;
                (attempt.answered, attempt.status) = (Some(at), status.parse()?);
            }
            ["gave-up", _] => {}
            ["killed", receiver] => drop(self.killed.insert(receiver.to_owned(), at)),
            ["stopped", receiver] => {
                self.stops.entry(receiver.to_owned()).or_default().push((at, u64::MAX));
            }
            ["continued", receiver] => {
                let stops = self.stops.get_mut(receiver).context("continued, not stopped")?;
                let open = stops.iter_mut().find(|(_, to)| *to == u64::MAX);
                open.context("continued, not stopped")?.1 = at;
            }
            ["stalled", receiver, from] => {
                let stops = self.stops.entry(receiver.to_owned()).or_default();
                stops.push((from.parse()?, at));
                self.stalls += 1;
            }
            ["store-down"] => self.outages.push((at, u64::MAX)),
            ["store-up"] => self.outages.last_mut().context("up, not down")?.1 = at,
            _ => bail!("unknown line"),
        }
        Ok(())
    }

    fn of(&mut self, id: &str) -> &mut Delivery {
        self.deliveries.entry(id.to_owned()).or_default()
    }

    fn run(&mut self, id: &str, receiver: &str, fence: &str) -> Result<&mut Run> {
        let fence: u64 = fence.parse()?;
        let runs = &mut self.of(id).runs;
        let run = runs
            .iter_mut()
            .rev()
            .find(|it| it.receiver == receiver && it.fence == fence && it.over.is_none());
        run.context("no such run")
    }

    /// For each outage with enough time until the next one: the time from its end to the first success that
    /// reached a sender.
    pub fn recoveries(&self) -> Vec<u64> {
        const ENOUGH: u64 = 3_000_000;
        let attempts = self.deliveries.values().flat_map(|delivery| &delivery.attempts);
        let mut heard: Vec<_> = attempts
            .filter(|attempt| (200..300).contains(&attempt.status))
            .filter_map(|attempt| attempt.answered)
            .collect();
        heard.sort_unstable();
        let next = self.outages.iter().skip(1).map(|(from, _)| *from).chain([u64::MAX]);
        self.outages
            .iter()
            .zip(next)
            .filter(|((_, to), next)| *to < u64::MAX && next - to > ENOUGH)
            .map(|((_, to), _)| {
                let first = heard.iter().find(|at| *at >= to);
                first.map_or(u64::MAX, |at| at - to)
            })
            .collect()
    }
}
