//! Maps a request to its records: those of its body and id, or the separate ones of a test event.

use crate::model::{Defect, Record};
use crate::state::{BODIES, IDS, RUNS, Request, Scenario, Sender, State};

impl State {
    /// The tag that it claims first: that of its body, or one of the run keys.
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

    /// The run keys of the test event, and whether each is completed.
    pub fn run_keys(&self) -> [bool; RUNS] {
        std::array::from_fn(|key| self.tags[BODIES + key] == Record::Completed)
    }
}
