//! The steps of an attempt. Each step may also be its last.

use crate::model::{Claimed, DEAD, Defect, Record};
use crate::state::{Attempt, End, Next, RUNS, Request, Scenario, Sender, State, Step};

type Steps<'a> = &'a mut Vec<Step>;

impl State {
    pub fn attempt_goes_on(&self, nth: usize, scenario: &Scenario, steps: Steps<'_>) {
        let attempt = &self.attempts[nth];
        let (tag, id) = (self.tag_of(nth, scenario), Self::id_of(nth, scenario));
        match attempt.next {
            Next::Begin if !self.may_begin(nth, scenario) => {}
            Next::Begin | Next::ClaimTag => self.claim(nth, 0, tag, scenario, steps),
            Next::ClaimId => self.claim(nth, 1, id, scenario, steps),
            Next::Nothing { .. } => {}
            Next::GiveBack { completed } => self.give_back(nth, completed, scenario, steps),
            Next::Run => self.run(nth, scenario, steps),
            Next::CompleteTag | Next::CompleteId => self.complete(nth, scenario, steps),
            Next::ReleaseId(end) => {
                let mut state = *self;
                state.ids[id].release(attempt.owner(nth), scenario.defect);
                state.go(nth, Next::ReleaseTag(end), "releases its id", steps);
            }
            Next::ReleaseTag(end) => {
                let mut state = *self;
                state.tags[tag].release(attempt.owner(nth), scenario.defect);
                state.end(nth, end, scenario, steps);
            }
        }
        if attempt.late_release {
            let mut state = *self;
            state.tags[tag].release(Attempt::first_owner(nth), scenario.defect);
            state.attempts[nth].late_release = false;
            steps.push(Step { state, what: (Some(nth), "releases late"), broken: None });
        }
        if !matches!(attempt.next, Next::Begin | Next::Nothing { .. }) {
            let mut state = *self;
            state.change_owner(|owner| if usize::from(owner / 2) == nth { DEAD } else { owner });
            state.attempts[nth].late_release = false;
            state.ended(nth, attempt.acknowledged);
            steps.push(Step { state, what: (Some(nth), "crashes"), broken: None });
        }
    }

    fn may_begin(&self, nth: usize, scenario: &Scenario) -> bool {
        let request = scenario.requests[nth];
        let captured = match request.sender {
            Sender::Replayer => self.tags[request.body] == Record::Completed,
            Sender::Latecomer => self.ids[request.id] == Record::Completed,
            Sender::Genuine | Sender::Interceptor | Sender::Tester => true,
            Sender::Nobody => false,
        };
        captured && !self.stale
    }

    /// A key that another attempt holds may be free by the time of the claim.
    fn claim(&self, nth: usize, kind: usize, key: usize, scenario: &Scenario, steps: Steps<'_>) {
        let over = self.lease_ends(kind, key, self.attempts[nth].owner(nth));
        let told = steps.len();
        for state in over.iter().chain([self]) {
            match kind {
                0 => state.claim_tag(nth, scenario, steps),
                _ => state.claim_id(nth, scenario, steps),
            }
            if *state != *self {
                steps[told..].iter_mut().for_each(Step::after_a_lease);
            }
        }
        if scenario.unreliable {
            // It releases what it may hold.
            State::go(&mut self.clone(), nth, Next::ReleaseId(End::Busy), "gives up", steps);
        }
    }

    fn claim_tag(&self, nth: usize, scenario: &Scenario, steps: Steps<'_>) {
        let mut state = *self;
        let Request { body, sender, .. } = scenario.requests[nth];
        // A refreshed retry is not recognized if it comes after a crash between two records.
        let tells_the_same = |other: usize| {
            let event_of = scenario.event_of;
            other == body || (sender != Sender::Genuine && event_of[other] == event_of[body])
        };
        state.attempts[nth].belated = match sender {
            Sender::Tester => self.run_keys() == [true; RUNS],
            _ => (0..2).any(|other| tells_the_same(other) && self.recorded[other]),
        };
        if scenario.defect == Some(Defect::IdOnlyKey) {
            return state.go(nth, Next::ClaimId, "needs no tag", steps);
        }
        let attempt = &mut state.attempts[nth];
        let tag = self.tag_of(nth, scenario);
        let answer = state.tags[tag].claim(attempt.owner(nth), scenario.defect);
        match answer {
            Claimed::Acquired => {
                attempt.leases[0] = true;
                state.go(nth, Next::ClaimId, "claims its tag", steps);
                if scenario.unreliable {
                    state.attempts[nth].unsure = true;
                    state.go(nth, Next::ClaimTag, "claims its tag, and is not told", steps);
                }
            }
            taken => {
                attempt.met_a_run |= taken == Claimed::InProgress;
                let end = match (sender, taken) {
                    (Sender::Tester, _) if attempt.run_key + 1 < RUNS => End::NextRunKey,
                    // One of the runs may still fail.
                    (Sender::Tester, Claimed::Completed) if attempt.met_a_run => End::Busy,
                    _ => found(taken, scenario),
                };
                let without = scenario.defect == Some(Defect::TestRunWithoutAKey);
                if without && sender == Sender::Tester && end != End::NextRunKey {
                    state.go(nth, Next::ClaimId, "needs no run key", steps);
                } else if attempt.unsure {
                    state.go(nth, Next::ReleaseId(end), "has lost its tag", steps);
                } else {
                    state.end(nth, end, scenario, steps);
                }
            }
        }
    }

    fn claim_id(&self, nth: usize, scenario: &Scenario, steps: Steps<'_>) {
        let mut state = *self;
        let id = Self::id_of(nth, scenario);
        let attempt = &mut state.attempts[nth];
        let answer = state.ids[id].claim(attempt.owner(nth), scenario.defect);
        match answer {
            Claimed::Acquired => {
                attempt.leases[1] = true;
                let mut untold = state;
                untold.attempts[nth].unsure = true;
                if scenario.unreliable {
                    untold.go(nth, Next::ClaimTag, "claims its id, and is not told", steps);
                }
                let attempt = &mut state.attempts[nth];
                if attempt.slow && scenario.defect != Some(Defect::NoSecondLookAfterASlowClaim) {
                    (attempt.slow, attempt.unsure) = (false, true);
                    state.go(nth, Next::ClaimTag, "claims its id, too slowly", steps);
                } else if scenario.defect == Some(Defect::EarlyAcknowledgement) {
                    state.go(nth, Next::CompleteTag, "claims its id", steps);
                } else {
                    let broken = state.why_not_run(nth, scenario);
                    state.go(nth, Next::Run, "claims its id and runs", steps);
                    steps.last_mut().unwrap().broken = broken;
                }
            }
            taken if attempt.unsure => {
                let end = found(taken, scenario);
                state.go(nth, Next::ReleaseId(end), "has lost its id", steps);
            }
            taken => {
                let next = Next::GiveBack { completed: taken == Claimed::Completed };
                state.go(nth, next, "finds its id taken", steps);
            }
        }
    }

    fn give_back(&self, nth: usize, completed: bool, scenario: &Scenario, steps: Steps<'_>) {
        let tag = self.tag_of(nth, scenario);
        let owner = self.attempts[nth].owner(nth);
        let again = self.attempts[nth].again;
        for late in [false, true] {
            let mut state = *self;
            let attempt = &mut state.attempts[nth];
            attempt.leases[0] = false;
            if scenario.defect == Some(Defect::TagCompletedWhereTheIdIsTaken) {
                state.tags[tag].complete(owner, None);
            } else if scenario.defect == Some(Defect::RunKeyKeptWhereTheIdIsTaken) {
                // The key stays claimed until its lease ends.
            } else if late && scenario.unreliable && !again {
                attempt.late_release = true;
            } else {
                state.tags[tag].release(owner, scenario.defect);
            }
            if completed {
                state.end(nth, End::Duplicate, scenario, steps);
            } else if !scenario.unreliable || again {
                state.end(nth, found(Claimed::InProgress, scenario), scenario, steps);
            } else {
                // It claims again, as another owner.
                let attempt = &mut state.attempts[nth];
                attempt.again = scenario.defect != Some(Defect::SameOwnerAfterGivingBack);
                (attempt.slow, attempt.unsure) = (false, false);
                state.go(nth, Next::ClaimTag, "gives its tag back and waits", steps);
            }
        }
    }

    /// The run succeeds or fails. Its renewals are modelled by leases that need not end.
    fn run(&self, nth: usize, scenario: &Scenario, steps: Steps<'_>) {
        let Request { body, sender, .. } = scenario.requests[nth];
        let mut state = *self;
        state.effects[scenario.event_of[body]] |= sender != Sender::Tester;
        if scenario.defect == Some(Defect::EarlyAcknowledgement) {
            state.end(nth, End::Success, scenario, steps);
        } else if scenario.acknowledges_first {
            state.attempts[nth].acknowledged = true;
            state.go(nth, Next::CompleteTag, "succeeds and is answered", steps);
        } else {
            state.go(nth, Next::CompleteTag, "succeeds", steps);
        }
        State::go(&mut self.clone(), nth, Next::ReleaseId(End::Busy), "fails", steps);
    }

    fn complete(&self, nth: usize, scenario: &Scenario, steps: Steps<'_>) {
        let Request { body, sender, .. } = scenario.requests[nth];
        let (tag, id) = (self.tag_of(nth, scenario), Self::id_of(nth, scenario));
        let mut state = *self;
        let owner = self.attempts[nth].owner(nth);
        let early = scenario.defect == Some(Defect::EarlyAcknowledgement);
        let first = self.attempts[nth].next == Next::CompleteTag;
        if first && scenario.defect == Some(Defect::IdOnlyKey) {
            return state.go(nth, Next::CompleteId, "has no tag to record", steps);
        }
        if first != (scenario.defect == Some(Defect::DeliveryCompletedFirst)) {
            state.tags[tag].complete(owner, scenario.defect);
        } else {
            state.ids[id].complete(owner, scenario.defect);
        }
        state.recorded[body] |= !early && sender != Sender::Tester;
        if first {
            state.go(nth, Next::CompleteId, "records half of it", steps);
        } else if early {
            state.go(nth, Next::Run, "is done and runs", steps);
        } else {
            state.end(nth, End::Success, scenario, steps);
        }
    }

    /// Returns what is wrong with a run that begins now.
    fn why_not_run(&self, nth: usize, scenario: &Scenario) -> Option<&'static str> {
        let (tag, id) = (self.tag_of(nth, scenario), Self::id_of(nth, scenario));
        let others = || (0..self.attempts.len()).filter(|other| *other != nth);
        let runs = |other: usize| {
            let attempt = &self.attempts[other];
            attempt.next == Next::Run && attempt.leases == [true; 2]
        };
        let overlaps = |other: usize| {
            let same = self.tag_of(other, scenario) == tag || Self::id_of(other, scenario) == id;
            same && runs(other)
        };
        let succeeded = |other: usize| {
            let attempt = &self.attempts[other];
            let success = attempt.acknowledged || attempt.next == Next::Nothing { success: true };
            Self::id_of(other, scenario) == id && success
        };
        if others().any(overlaps) {
            Some("two runs at a time")
        } else if others().any(succeeded) {
            Some("a run after an acknowledged success")
        } else if self.attempts[nth].belated {
            Some("a run that began after a recorded success")
        } else {
            None
        }
    }

    fn go(&mut self, nth: usize, next: Next, what: &'static str, steps: Steps<'_>) {
        let attempt = &mut self.attempts[nth];
        attempt.next = next;
        if !matches!(next, Next::ClaimTag | Next::ClaimId) {
            (attempt.slow, attempt.unsure, attempt.belated) = (false, false, false);
            // Only runs are checked for overlap.
            attempt.leases = attempt.leases.map(|leased| leased && next == Next::Run);
        }
        steps.push(Step { state: *self, what: (Some(nth), what), broken: None });
    }

    fn end(&mut self, nth: usize, end: End, scenario: &Scenario, steps: Steps<'_>) {
        if end == End::NextRunKey {
            let attempt = &mut self.attempts[nth];
            (attempt.slow, attempt.unsure, attempt.leases) = (false, false, [false; 2]);
            attempt.run_key += 1;
            return self.go(nth, Next::ClaimTag, "goes on to the next run key", steps);
        }
        let request = scenario.requests[nth];
        let lost = matches!(end, End::Success | End::Duplicate)
            && request.sender == Sender::Genuine
            && !self.effects[scenario.event_of[request.body]];
        self.ended(nth, end == End::Success);
        let broken = lost.then_some("a 2xx without an effect");
        let what = match end {
            End::Success => "is answered with its success",
            End::Duplicate => "is told that it is a duplicate",
            End::Busy | End::NextRunKey => "is told to try again",
        };
        steps.push(Step { state: *self, what: (Some(nth), what), broken });
    }
}

fn found(taken: Claimed, scenario: &Scenario) -> End {
    match taken {
        Claimed::Completed => End::Duplicate,
        _ if scenario.defect == Some(Defect::SuccessWhileInProgress) => End::Duplicate,
        _ => End::Busy,
    }
}
