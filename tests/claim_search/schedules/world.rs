//! The environment of a schedule: the dice, the store behind its faults, the handler, and a record of what
//! happened.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scrapest_webhook::Delivery;
use scrapest_webhook::store::{
    Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError,
};
use tokio::time::{Instant, sleep};

use crate::model::Defect;

/// The layer's past tolerance. A record must be kept for longer.
const PAST_TOLERANCE: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
pub struct World(Arc<Mutex<Inner>>);

pub struct Inner {
    pub dice: StdRng,
    pub defect: Option<Defect>,
    pub healthy: bool,
    began: Instant,
    /// The error of the machine's clock in seconds. The store has its own clock.
    pub clock_error: i64,
    store: MemoryStore,
    /// The time until which an owner certainly holds a key.
    held: HashMap<(Owner, Key), Instant>,
    /// The last process that claimed each key.
    pub holder: HashMap<Key, Owner>,
    pub owners: HashMap<(Key, Fence), Owner>,
    /// Each key that an owner ever claimed, in order.
    pub claimed: Vec<(Owner, Key)>,
    /// The processes that claimed a key after a success had been recorded. Others may have taken over from its
    /// zombie.
    belated: HashSet<Owner>,
    recorded: bool,
    runs: Vec<Run>,
    pub successes: usize,
    pub broken: Option<&'static str>,
}

struct Run {
    owner: Owner,
    over: bool,
}

impl World {
    pub fn new(seed: u64, defect: Option<Defect>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            dice: StdRng::seed_from_u64(seed),
            defect,
            healthy: false,
            began: Instant::now(),
            clock_error: 0,
            store: MemoryStore::new(),
            held: HashMap::new(),
            holder: HashMap::new(),
            owners: HashMap::new(),
            claimed: Vec::new(),
            belated: HashSet::new(),
            recorded: false,
            runs: Vec::new(),
            successes: 0,
            broken: None,
        })))
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn seconds(&self, most: f64) -> Duration {
        Duration::from_secs_f64(self.with(|world| world.dice.random_range(0.0..most)))
    }

    /// This many seconds after the beginning.
    pub fn time(seconds: i64) -> SystemTime {
        let second = 1_772_625_600_u64.saturating_add_signed(seconds);
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// The time by the machine's clock.
    pub fn clock(&self) -> SystemTime {
        self.with(|world| Self::time(world.clock_error) + world.began.elapsed())
    }

    pub fn runs(&self) -> usize {
        self.with(|world| world.runs.len())
    }

    /// Does `verb` now, later, or never, and returns its answer or an error.
    async fn faulty<T>(
        &self,
        verb: impl FnOnce(&mut Inner) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let dice =
            self.with(|world| if world.healthy { 0 } else { world.dice.random_range(0..100) });
        match dice {
            70..85 => sleep(self.seconds(3.0)).await,
            85..88 => return Err(StoreError::new("nothing was done")),
            88..90 => pending().await,
            _ => {}
        }
        let answer = self.with(verb);
        match dice {
            90..94 => Err(StoreError::new("it was done")),
            94..96 => pending().await,
            96..100 => {
                sleep(self.seconds(3.0)).await;
                answer
            }
            _ => answer,
        }
    }

    /// The handler of every delivery.
    pub async fn run(self, delivery: Delivery) -> u16 {
        let nth = self.with(|world| world.begin(world.owners[&(delivery.key(), delivery.fence())]));
        let time = self.seconds(if self.with(|world| world.healthy) { 0.1 } else { 25.0 });
        sleep(time).await;
        let status = self.with(|world| {
            world.runs[nth].over = true;
            match world.dice.random_range(0..10) {
                _ if world.healthy => {}
                0..3 => return 500,
                3 => return 0,
                _ => {}
            }
            world.successes += 1;
            200
        });
        if status == 0 {
            resume_unwind(Box::new("as the dice say"));
        }
        status
    }
}

impl Inner {
    /// Records the start of a run, and returns its number.
    fn begin(&mut self, owner: Owner) -> usize {
        let holds = |owner| {
            let mut keys = self.held.iter().filter(|((holder, _), _)| *holder == owner);
            keys.all(|(_, until)| *until > Instant::now())
        };
        if holds(owner) && self.runs.iter().any(|run| !run.over && holds(run.owner)) {
            self.broken = Some("two runs at a time, both under their leases");
        }
        if self.belated.contains(&owner) {
            self.broken = Some("a run that began after a recorded success");
        }
        self.runs.push(Run { owner, over: false });
        self.runs.len() - 1
    }

    pub fn claim(
        &mut self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Answer<Claim> {
        let keep = self.kept(keep);
        if self.defect == Some(Defect::EvictionInProgress) && self.dice.random_ratio(1, 20) {
            let held: Vec<_> = self.holder.keys().copied().collect();
            held.iter().for_each(|key| self.take_away(key));
        }
        let mut claim = now(self.store.claim(key, owner, lease, keep))?;
        if let Claim::InProgress { .. } = claim {
            match self.defect {
                Some(Defect::SuccessWhileInProgress) => return Ok(Claim::Completed),
                // Some callers have a fast clock, by which each lease is over.
                Some(Defect::CallersClock) if self.dice.random_ratio(1, 4) => {
                    self.take_away(key);
                    claim = now(self.store.claim(key, owner, lease, keep))?;
                }
                _ => {}
            }
        }
        if let Claim::Acquired { fence, .. } = claim {
            let known = self.held.keys().any(|(holder, _)| *holder == owner);
            if self.recorded && !known {
                self.belated.insert(owner);
            }
            self.held.insert((owner, *key), Instant::now() + lease);
            self.holder.insert(*key, owner);
            if !self.claimed.contains(&(owner, *key)) {
                self.claimed.push((owner, *key));
            }
            self.owners.insert((*key, fence), owner);
        }
        Ok(claim)
    }

    fn renew(&mut self, key: &Key, owner: Owner, lease: Duration) -> Answer<Settled> {
        let settled = now(self.store.renew(key, owner, lease))?;
        if settled == Settled::Done {
            self.held.insert((owner, *key), Instant::now() + lease);
        }
        Ok(settled)
    }

    fn complete(&mut self, key: &Key, by: Owner, fence: Fence, keep: Duration) -> Answer<Settled> {
        self.recorded = true;
        let compares = self.defect == Some(Defect::CompareAndSetComplete);
        if compares && self.holder.get(key) != Some(&by) {
            return Ok(Settled::Lost);
        }
        let keep = self.kept(keep);
        now(self.store.complete(key, by, fence, keep))
    }

    pub fn release(&mut self, key: &Key, owner: Owner) -> Answer<Settled> {
        self.held.remove(&(owner, *key));
        if self.defect == Some(Defect::UnfencedRelease) {
            self.take_away(key);
        }
        now(self.store.release(key, owner))
    }

    /// Releases a key that another process holds.
    fn take_away(&mut self, key: &Key) {
        if let Some(&holder) = self.holder.get(key) {
            _ = now(self.store.release(key, holder));
        }
    }

    fn kept(&self, keep: Duration) -> Duration {
        match self.defect {
            Some(Defect::RetentionOfThePastTolerance) => keep.min(PAST_TOLERANCE),
            _ => keep,
        }
    }
}

type Answer<T> = Result<T, StoreError>;

/// The memory store answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(answer).unwrap()
}

impl DeliveryStore for World {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.faulty(|world| world.claim(key, owner, lease, keep)).await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.faulty(|world| world.renew(key, owner, lease)).await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.faulty(|world| world.complete(key, owner, fence, keep)).await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.faulty(|world| world.release(key, owner)).await
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}
