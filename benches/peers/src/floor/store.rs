//! A small store with the semantics of `MemoryStore`: one map and one queue under one lock.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Key = [u8; 32];

const LEASE: Duration = Duration::from_secs(15);

pub struct Store {
    capacity: usize,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    map: HashMap<Key, Record, BuildHasherDefault<FirstBytes>>,
    /// Oldest first.
    queue: VecDeque<Key>,
}

struct Record {
    /// `None` once it is completed or released.
    held: Option<(u128, Instant)>,
    completed: bool,
    fence: u64,
    attempt: u32,
}

/// The keys that one attempt holds.
pub struct Claimed {
    keys: [Key; 2],
    owner: u128,
    pub fence: u64,
    pub attempt: u32,
}

impl Store {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, records: Mutex::default() }
    }

    /// Claims both keys or none.
    pub fn claim(&self, keys: [Key; 2]) -> Result<Claimed, u16> {
        let (now, owner) = (Instant::now(), rand::random());
        let mut records = self.records.lock().unwrap();
        for key in &keys {
            match records.map.get(key) {
                Some(record) if record.completed => return Err(200),
                Some(Record { held: Some((_, until)), .. }) if *until > now => return Err(503),
                _ => {}
            }
        }
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let mut claimed = Claimed { keys, owner, fence: 0, attempt: 0 };
        for key in keys {
            let record = match records.map.entry(key) {
                Entry::Occupied(old) => old.into_mut(),
                Entry::Vacant(new) => {
                    let (fence, attempt) = (0, 0);
                    new.insert(Record { held: None, completed: false, fence, attempt })
                }
            };
            record.held = Some((owner, now + LEASE));
            record.fence = millis.max(record.fence + 1);
            record.attempt += 1;
            (claimed.fence, claimed.attempt) = (record.fence, record.attempt);
            if record.attempt == 1 {
                records.queue.push_back(key);
            }
        }
        while records.map.len() > self.capacity {
            let Some(oldest) = records.queue.pop_front() else { break };
            match records.map.get(&oldest) {
                Some(record) if !record.completed => records.queue.push_back(oldest),
                _ => _ = records.map.remove(&oldest),
            }
        }
        Ok(claimed)
    }

    pub fn complete(&self, claimed: &Claimed) {
        let mut records = self.records.lock().unwrap();
        for key in &claimed.keys {
            if let Some(record) = records.map.get_mut(key) {
                (record.held, record.completed) = (None, true);
            }
        }
    }

    pub fn release(&self, claimed: &Claimed) {
        let mut records = self.records.lock().unwrap();
        for key in &claimed.keys {
            if let Some(record) = records.map.get_mut(key)
                && record.held.is_some_and(|(owner, _)| owner == claimed.owner)
            {
                record.held = None;
            }
        }
    }
}

/// Hashes a key by its first bytes, because a key is already a hash.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
