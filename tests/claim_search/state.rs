//! The whole state: the records, the attempts, the effects of time, and the promises.

use crate::model::{DEAD, Defect, Owner, Record};

pub const ATTEMPTS: usize = 4;
pub const BODIES: usize = 2;
pub const IDS: usize = 2;
/// The run limit of an undated test event: it has this many run keys, and each run takes one.
pub const RUNS: usize = 2;
/// Test events have separate ids.
const TEST_IDS: usize = 3;

/// A request and its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub body: usize,
    pub id: usize,
    pub sender: Sender,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Genuine,
    Nobody,
    /// Sends the captured request once its bytes are recorded.
    Replayer,
    /// Sends the captured request under a recorded id.
    Latecomer,
    /// Sends the captured request at any time: the attacker may have held the genuine one back.
    Interceptor,
    /// Sends a captured test event without a timestamp, at any time, under one of the separate ids.
    Tester,
}

#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub requests: [Request; ATTEMPTS],
    /// The event that each body reports: a refreshed body reports the same event.
    pub event_of: [usize; 2],
    /// Whether enough time passes for requests to become stale and records to be forgotten.
    pub forgets: bool,
    /// Whether the store's answers may be lost, its releases may be late, and waiting attempts claim again.
    pub unreliable: bool,
    /// Whether a success is acknowledged before it is recorded, as while the store is down.
    pub acknowledges_first: bool,
    pub defect: Option<Defect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// It succeeded and was answered so.
    Success,
    /// It was answered that another attempt had succeeded.
    Duplicate,
    /// It failed, or was answered to retry.
    Busy,
    /// Not ended: its run key is taken, and there is another.
    NextRunKey,
}

/// The next step of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Next {
    Begin,
    ClaimTag,
    ClaimId,
    /// The id is completed or in progress.
    GiveBack {
        completed: bool,
    },
    Run,
    CompleteTag,
    CompleteId,
    ReleaseId(End),
    ReleaseTag(End),
    /// It has ended, with or without its own success.
    Nothing {
        success: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    pub next: Next,
    /// It uses its second owner.
    pub again: bool,
    /// One of its leases ended while it was still claiming.
    pub slow: bool,
    /// It may hold both keys: it checks once more, or did not get the answer.
    pub unsure: bool,
    /// It began to claim after the success of its event had been recorded, at least in part.
    pub belated: bool,
    /// It was answered with a success that is not recorded yet.
    pub acknowledged: bool,
    /// The store has not received the release of its tag yet.
    pub late_release: bool,
    /// For an undated test event: the run key that it claims, and whether an earlier one was in progress.
    pub run_key: usize,
    pub met_a_run: bool,
    /// Whether its leases of the tag and of the id are still valid.
    pub leases: [bool; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// By body, followed by the run keys of the test event.
    pub tags: [Record; BODIES + RUNS],
    /// By id: those of deliveries, followed by those of test events.
    pub ids: [Record; IDS + TEST_IDS],
    pub attempts: [Attempt; ATTEMPTS],
    /// By event: whether a handler has succeeded.
    pub effects: [bool; 2],
    /// By body: whether the store has begun to record the success.
    pub recorded: [bool; 2],
    pub stale: bool,
}

/// A successor state, the step that led to it, and the promise that it breaks.
#[derive(Debug)]
pub struct Step {
    pub state: State,
    pub what: (Option<usize>, &'static str),
    pub broken: Option<&'static str>,
}

impl Step {
    pub fn after_a_lease(&mut self) {
        self.what.1 = match self.what.1 {
            "claims its tag" => "claims its tag, whose lease is over",
            "claims its id" => "claims its id, whose lease is over",
            "claims its id and runs" => "claims its id, whose lease is over, and runs",
            other => other,
        };
    }
}

impl Attempt {
    pub fn owner(&self, nth: usize) -> Owner {
        Self::first_owner(nth) + u8::from(self.again)
    }

    pub fn first_owner(nth: usize) -> Owner {
        u8::try_from(nth * 2).unwrap()
    }

    fn is_active(&self) -> bool {
        !matches!(self.next, Next::Begin | Next::Nothing { .. }) || self.late_release
    }
}

impl State {
    pub fn start() -> Self {
        let attempt = Attempt {
            next: Next::Begin,
            again: false,
            slow: false,
            unsure: false,
            belated: false,
            acknowledged: false,
            late_release: false,
            run_key: 0,
            met_a_run: false,
            leases: [false; 2],
        };
        Self {
            tags: [Record::Absent; BODIES + RUNS],
            ids: [Record::Absent; IDS + TEST_IDS],
            attempts: [attempt; ATTEMPTS],
            effects: [false; 2],
            recorded: [false; 2],
            stale: false,
        }
    }

    /// Sorts attempts at equal requests, because their order makes no difference.
    pub fn canonical(mut self, scenario: &Scenario) -> Self {
        let held = |nth: usize| {
            let by = |record: &Record| match record {
                Record::Running { owner, .. } => usize::from(*owner / 2) == nth,
                _ => false,
            };
            (self.tags.each_ref().map(by), self.ids.each_ref().map(by))
        };
        let mut order: [usize; ATTEMPTS] = std::array::from_fn(|nth| nth);
        for group in order.chunk_by_mut(|a, b| scenario.requests[*a] == scenario.requests[*b]) {
            group.sort_by_key(|nth| (self.attempts[*nth], held(*nth)));
        }
        let mut place = [0; ATTEMPTS];
        order.iter().enumerate().for_each(|(to, from)| place[*from] = to);
        self.change_owner(|owner| match place.get(usize::from(owner / 2)) {
            Some(place) => Attempt::first_owner(*place) + owner % 2,
            None => owner,
        });
        self.attempts = order.map(|nth| self.attempts[nth]);
        self
    }

    pub fn change_owner(&mut self, change: impl Fn(Owner) -> Owner) {
        for record in self.tags.iter_mut().chain(&mut self.ids) {
            if let Record::Running { owner, .. } = record {
                *owner = change(*owner);
            }
        }
    }

    /// All possible next steps.
    pub fn steps(&self, scenario: &Scenario) -> Vec<Step> {
        let mut steps = Vec::new();
        for nth in 0..ATTEMPTS {
            self.attempt_goes_on(nth, scenario, &mut steps);
        }
        self.time_passes(scenario, &mut steps);
        steps
    }

    /// Ends an attempt. From here on only its success counts, and whether it still holds a key.
    pub fn ended(&mut self, nth: usize, success: bool) {
        let late_release = self.attempts[nth].late_release;
        self.attempts[nth] = Attempt {
            next: Next::Nothing { success },
            late_release,
            ..Self::start().attempts[nth]
        };
    }

    fn time_passes(&self, scenario: &Scenario, steps: &mut Vec<Step>) {
        let mut push = |state, what| steps.push(Step { state, what: (None, what), broken: None });
        // A record outlives the freshness of its request, and the waiting time of every request that was fresh.
        let claiming = |one: &Attempt| matches!(one.next, Next::ClaimTag | Next::ClaimId);
        let may_forget = scenario.defect == Some(Defect::RetentionOfThePastTolerance)
            || (self.stale && !self.attempts.iter().any(claiming));
        let evicts = scenario.defect == Some(Defect::EvictionInProgress);
        for nth in 0..self.tags.len() + self.ids.len() {
            let mut state = *self;
            let record = state.tags.iter_mut().chain(&mut state.ids).nth(nth).unwrap();
            let goes = match record {
                Record::Running { .. } => evicts,
                Record::Completed => scenario.forgets && may_forget,
                Record::Absent | Record::Retryable => false,
            };
            if goes {
                *record = Record::Absent;
                push(state, "a record is forgotten");
            }
        }
        if scenario.forgets && !self.stale {
            push(Self { stale: true, ..*self }, "every request is stale");
        }
    }

    /// The lease of another attempt ends without an action, which shows only when `by` claims its key.
    pub fn lease_ends(mut self, kind: usize, key: usize, by: Owner) -> Option<Self> {
        let record = match kind {
            0 => self.tags.get_mut(key)?,
            _ => self.ids.get_mut(key)?,
        };
        match *record {
            Record::Running { owner, leased: true } if owner != by => {
                record.expire();
                let holder = usize::from(owner / 2);
                let attempt = self.attempts.get_mut(holder);
                if let Some(attempt) = attempt.filter(|one| one.owner(holder) == owner) {
                    attempt.leases[kind] = false;
                    attempt.slow |= matches!(attempt.next, Next::ClaimTag | Next::ClaimId);
                }
                Some(self)
            }
            _ => None,
        }
    }

    /// Checks promises that depend only on the state.
    pub fn broken(&self, scenario: &Scenario) -> Option<&'static str> {
        if self.attempts.iter().any(Attempt::is_active) {
            return None;
        }
        let stays = |one: &Record| matches!(one, Record::Running { owner, .. } if *owner != DEAD);
        if self.tags.iter().chain(&self.ids).any(stays) {
            return Some("something stays in progress");
        }
        // No attempt is active, so the sender's next retry must be able to run.
        for request in scenario.requests.iter().filter(|one| one.sender == Sender::Genuine) {
            let [mut tag, mut id] = [self.tags[request.body], self.ids[request.id]];
            tag.expire();
            id.expire();
            let runs = [tag, id].iter().all(|record| *record != Record::Completed);
            if !runs && !self.stale && !self.effects[scenario.event_of[request.body]] {
                return Some("an event is lost");
            }
        }
        None
    }
}
