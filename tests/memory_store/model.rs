//! Compares the memory store with a model of a few lines, over random verbs and passing time.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Claim,
    Renew,
    Complete,
    Release,
}

/// A verb, and how much time passes before it.
#[derive(Clone, Copy, Debug)]
struct Step {
    pass: Duration,
    verb: Verb,
    key: u8,
    owner: u8,
    lease: Duration,
    keep: Duration,
}

#[derive(Debug, PartialEq)]
enum Answer {
    /// The attempt, and whether the owner already had it.
    Acquired(u32, bool),
    InProgress(Duration),
    Completed,
    Settled(Settled),
    Full,
}

#[derive(Clone, Copy)]
struct Record {
    /// The owner and the end of its lease.
    held: Option<(u8, Duration)>,
    completed: bool,
    keep_until: Duration,
    attempt: u32,
    /// The number of the model's change that wrote this record.
    changed: u64,
}

impl Record {
    fn is_leased(&self, now: Duration) -> bool {
        self.held.is_some_and(|(_, until)| until > now)
    }

    fn is_held_by(&self, owner: u8) -> bool {
        self.held.is_some_and(|(holder, _)| holder == owner)
    }
}

#[derive(Default)]
struct Model {
    capacity: usize,
    now: Duration,
    changes: u64,
    records: HashMap<u8, Record>,
    evicted: u64,
}

impl Model {
    fn take(&mut self, step: Step) -> Answer {
        self.now += step.pass;
        self.changes += 1;
        let now = self.now;
        self.records.retain(|_, record| record.keep_until > now || record.is_leased(now));

        let old = self.records.get(&step.key).copied();
        let held = old.is_some_and(|old| old.is_held_by(step.owner));
        let mut new = Record {
            held: Some((step.owner, now + step.lease)),
            completed: false,
            keep_until: now + step.keep,
            attempt: old.map_or(1, |old| old.attempt + u32::from(!held)),
            changed: self.changes,
        };
        match (step.verb, old) {
            (Verb::Claim, Some(old)) if old.completed => return Answer::Completed,
            (Verb::Claim, Some(old)) if old.is_leased(now) && !held => {
                return Answer::InProgress(old.held.unwrap().1 - now);
            }
            (Verb::Claim | Verb::Complete, None) if !self.make_room() => return Answer::Full,
            (Verb::Claim, _) => {}
            (Verb::Complete, _) => {
                (new.held, new.completed) = (None, true);
                if let Some(ended) = old.filter(|old| old.held.is_none()) {
                    new.keep_until = new.keep_until.max(ended.keep_until);
                }
                new.keep_until = rounded_up(new.keep_until);
            }
            (Verb::Renew | Verb::Release, None) => return Answer::Settled(Settled::Lost),
            (Verb::Renew | Verb::Release, Some(_)) if !held => {
                return Answer::Settled(Settled::Lost);
            }
            (Verb::Renew, Some(old)) => new.keep_until = old.keep_until,
            (Verb::Release, Some(old)) => (new.held, new.keep_until) = (None, old.keep_until),
        }
        self.records.insert(step.key, new);
        match step.verb {
            Verb::Claim => Answer::Acquired(new.attempt, held),
            _ if held => Answer::Settled(Settled::Done),
            _ => Answer::Settled(Settled::Lost),
        }
    }

    /// If the model is full, evicts the oldest attempt if its lease has ended, otherwise the settled record that
    /// changed first.
    fn make_room(&mut self) -> bool {
        if self.records.len() < self.capacity {
            return true;
        }
        let oldest = |held: bool| {
            let records = self.records.iter();
            let alike = records.filter(|(_, record)| record.held.is_some() == held);
            alike.min_by_key(|(_, record)| record.changed)
        };
        let abandoned = oldest(true).filter(|(_, record)| !record.is_leased(self.now));
        let Some((&gone, _)) = abandoned.or(oldest(false)) else {
            return false;
        };
        self.evicted += 1;
        self.records.remove(&gone).is_some()
    }
}

/// Rounds up to the unit in which the store keeps the end of a completion's retention.
fn rounded_up(until: Duration) -> Duration {
    let unit = 1 << 27;
    let units = until.as_nanos().div_ceil(unit).max(1);
    Duration::from_nanos(u64::try_from(units * unit).unwrap())
}

/// The store, and the largest fence that it returned for each key.
struct Store(MemoryStore, HashMap<u8, Fence>);

impl Store {
    async fn take(&mut self, step: Step) -> Answer {
        tokio::time::advance(step.pass).await;
        // All keys belong to one webhook: with several, the evicted record is not always the oldest.
        let mut key = [step.key; 32];
        key[24..].fill(0);
        let key = Key::from_bytes(key);
        let owner = Owner::from_bytes([step.owner; 16]);
        let last = self.1.get(&step.key).copied().unwrap_or(Fence::new(0));
        let settled = match step.verb {
            Verb::Claim => return self.claim(key, owner, step, last).await,
            Verb::Renew => self.0.renew(&key, owner, step.lease).await,
            Verb::Complete => self.0.complete(&key, owner, last, step.keep).await,
            Verb::Release => self.0.release(&key, owner).await,
        };
        settled.map_or(Answer::Full, Answer::Settled)
    }

    async fn claim(&mut self, key: Key, owner: Owner, step: Step, last: Fence) -> Answer {
        match self.0.claim(&key, owner, step.lease, step.keep).await {
            Ok(Claim::Acquired { fence, attempt }) => {
                assert!(fence >= last, "the fence went from {last} to {fence}");
                self.1.insert(step.key, fence);
                Answer::Acquired(attempt, fence == last)
            }
            Ok(Claim::InProgress { retry_after }) => Answer::InProgress(retry_after),
            Ok(Claim::Completed) => Answer::Completed,
            Err(_) => Answer::Full,
        }
    }
}

/// Takes the steps on both and compares each answer. After every `often` steps, compares what another owner finds.
async fn compare(deliveries: usize, steps: Vec<Step>, often: usize) {
    let store = MemoryStore::with_capacity(deliveries.try_into().unwrap());
    let mut store = Store(store, HashMap::new());
    let mut model = Model { capacity: 2 * deliveries, ..Model::default() };
    for (number, step) in steps.into_iter().enumerate() {
        let answer = store.take(step).await;
        assert_eq!(answer, model.take(step), "{step:?}");
        assert!(store.0.len() <= model.capacity, "after {step:?}");
        assert_eq!(store.0.evicted(), model.evicted, "after {step:?}");

        if number % often > 0 {
            continue;
        }
        let lasting: Vec<_> = model
            .records
            .iter()
            .filter(|(_, record)| record.is_leased(model.now) || record.completed)
            .filter(|(_, record)| record.keep_until > model.now || record.held.is_some())
            .map(|(&key, _)| key)
            .collect();
        for key in lasting {
            let stranger =
                Step { pass: Duration::ZERO, verb: Verb::Claim, key, owner: 255, ..step };
            let found = store.take(stranger).await;
            assert_eq!(found, model.take(stranger), "of {key} after {step:?}");
        }
    }
}

fn on_a_paused_clock(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.unwrap().block_on(test);
}

fn steps(
    keys: u8,
    most: usize,
    lease: impl Strategy<Value = Duration>,
    keep: impl Strategy<Value = Duration>,
) -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![3 => Just(Duration::ZERO), 1 => millis(4_000)];
    let verb = prop_oneof![
        2 => Just(Verb::Claim),
        1 => Just(Verb::Renew),
        2 => Just(Verb::Complete),
        1 => Just(Verb::Release),
    ];
    let step = (pass, verb, 0..keys, 0..3_u8, lease, keep);
    let step = step.prop_map(|(pass, verb, key, owner, lease, keep)| Step {
        pass,
        verb,
        key,
        owner,
        lease,
        keep,
    });
    prop::collection::vec(step, 1..most)
}

fn millis(below: u64) -> impl Strategy<Value = Duration> {
    (0..below).prop_map(Duration::from_millis)
}

proptest! {
    #[test]
    fn a_store_with_room_answers_as_the_model_does(
        steps in steps(4, 150, millis(5_000), millis(15_000)),
    ) {
        on_a_paused_clock(compare(100, steps, 1));
    }

    /// Many keys are removed and used again between others, so that most written entries are out of date.
    #[test]
    fn a_store_with_very_different_retentions_answers_as_the_model_does(
        deliveries in prop_oneof![Just(40_usize), Just(150), Just(2_000)],
        steps in steps(60, 500, millis(500), prop_oneof![8 => millis(300), 1 => millis(900_000)]),
    ) {
        on_a_paused_clock(compare(deliveries, steps, 20));
    }

    /// Nothing expires here, and all leases are equally long, so that the order is that of the changes.
    #[test]
    fn a_full_store_evicts_as_the_model_does_and_never_a_live_lease(
        deliveries in 1..5_usize,
        steps in steps(12, 150, Just(Duration::from_secs(5)), Just(Duration::from_secs(86_400))),
    ) {
        on_a_paused_clock(compare(deliveries, steps, 1));
    }

    #[test]
    fn a_larger_full_store_evicts_as_the_model_does(
        deliveries in 5..40_usize,
        steps in steps(120, 600, Just(Duration::from_secs(5)), Just(Duration::from_secs(86_400))),
    ) {
        on_a_paused_clock(compare(deliveries, steps, 20));
    }
}
