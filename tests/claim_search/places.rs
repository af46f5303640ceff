//! Which records a request is about: those of its body and its id, or those that a test event has instead.

use crate::model::{Defect, Record};
use crate::state::{BODIES, IDS, RUNS, Request, Scenario, Sender, State};

impl State {
    /// Which tag it claims first: that of its body, or one of the run keys.
    pub fn tag_of(&self, nth: usize, scenario: &Scenario) -> usize {
        match scenario.requests[nth] {
            Request { sender: Sender::Tester, .. } => BODIES + self.attempts[nth].run_key,
            Request { body, .. } => body,
        }
    }

    pub fn id_of(nth: usize, scenario: &Scenario) -> usize {
        let shared = scenario.defect == Some(Defect::TestIdsAmongThoseOfDeliveries);
        match scenario.requests[nth] {
            Request { sender: Sender::Tester, id, .. } if !shared => IDS + id,
            Request { id, .. } => id,
        }
    }

    /// Those of the test event, and whether each is completed.
    pub fn run_keys(&self) -> [bool; RUNS] {
        std::array::from_fn(|key| self.tags[BODIES + key] == Record::Completed)
    }
}
