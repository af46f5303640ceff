//! Visits every reachable state once, and finds the shortest path to the first broken promise.

use std::collections::HashSet;

use crate::state::{Scenario, State};

/// How a promise is broken.
#[derive(Debug)]
pub struct Broken {
    pub promise: &'static str,
    pub way: Vec<String>,
}

/// Returns the number of states, or how a promise is broken.
pub fn search(scenario: &Scenario) -> Result<usize, Broken> {
    let start = State::start().canonical(scenario);
    let mut states = vec![(start, 0)];
    let mut known = HashSet::from([start]);
    let mut next = 0;
    while let Some((state, _)) = states.get(next).copied() {
        for step in state.steps(scenario) {
            let new = step.state.canonical(scenario);
            if let Some(promise) = step.broken.or_else(|| new.broken(scenario)) {
                let mut way = vec![new];
                let mut at = next;
                while at > 0 {
                    way.push(states[at].0);
                    at = states[at].1;
                }
                way.reverse();
                return Err(Broken { promise, way: told(&way, scenario) });
            }
            if known.insert(new) {
                states.push((new, next));
            }
        }
        next += 1;
    }
    Ok(states.len())
}

/// Repeats the path without exchanging equal attempts.
fn told(way: &[State], scenario: &Scenario) -> Vec<String> {
    let mut state = State::start();
    let mut lines = Vec::new();
    for next in way {
        let mut steps = state.steps(scenario).into_iter();
        let step = steps.find(|step| step.state.canonical(scenario) == *next).unwrap();
        lines.push(match step.what {
            (Some(nth), what) => format!("attempt {nth} {what}"),
            (None, what) => what.to_owned(),
        });
        state = step.state;
    }
    lines
}
