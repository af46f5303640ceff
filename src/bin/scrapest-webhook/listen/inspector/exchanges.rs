//! The requests that the page shows: the newest, only in memory, limited in number and bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scrapest_webhook::store::{Fence, Key};
use tokio::sync::watch;

use crate::listen::exchange::{Cause, Exchange};

/// The limit for all requests together, bodies and headers.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A request with its number.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) exchange: Exchange,
    pub(super) cause: Option<Cause>,
    bytes: usize,
}

/// Clones share the requests.
#[derive(Clone, Debug)]
pub(in crate::listen) struct Exchanges(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    kept: Mutex<Kept>,
    /// The number of the newest request.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// The largest fence that replays of each kept delivery had.
    replays: Vec<(Key, Fence)>,
}

impl Exchanges {
    pub(super) fn new(most: usize) -> Self {
        let newest = watch::Sender::new(0);
        Self(Arc::new(Inner { most, kept: Mutex::default(), newest }))
    }

    pub(in crate::listen) fn add(&self, exchange: Exchange, cause: Option<Cause>) {
        let recording = &exchange.recording;
        let headers: usize =
            recording.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let bytes = recording.body.len() + recording.target.len() + headers + 1_024;
        let number = self.0.newest.borrow().saturating_add(1);
        let mut kept = self.lock();
        kept.bytes += bytes;
        kept.entries.push_back(Arc::new(Entry { number, exchange, cause, bytes }));
        while kept.entries.len() > self.0.most
            || (kept.bytes > MOST_BYTES && kept.entries.len() > 1)
        {
            let oldest = kept.entries.pop_front();
            kept.bytes -= oldest.map_or(0, |entry| entry.bytes);
        }
        drop(kept);
        self.0.newest.send_replace(number);
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<Entry>> {
        let kept = self.lock();
        let at = kept.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        kept.entries.get(at).cloned()
    }

    /// The requests after `number`, oldest first, at most `most`.
    pub(super) fn after(&self, number: u64, most: usize) -> Vec<Arc<Entry>> {
        let kept = self.lock();
        let start = kept.entries.partition_point(|entry| entry.number <= number);
        kept.entries.iter().skip(start).take(most).cloned().collect()
    }

    /// Notifies of every newer request.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The numbers of all requests that are attempts at the same delivery.
    pub(super) fn attempts(&self, entry: &Entry) -> Vec<u64> {
        let same = |other: &&Arc<Entry>| {
            other.number == entry.number
                || entry.exchange.id().is_some_and(|id| other.exchange.id() == Some(id))
                || entry.key().is_some_and(|key| other.key() == Some(key))
        };
        self.lock().entries.iter().filter(same).map(|entry| entry.number).collect()
    }

    /// A fence larger than that of every attempt at this delivery so far, including replays.
    pub(super) fn next_fence(&self, entry: &Entry) -> Option<Fence> {
        let run = entry.exchange.run.as_ref()?;
        let key = run.delivery.key();
        let mut kept = self.lock();
        let same = kept.entries.iter().filter(|entry| entry.key() == Some(key));
        let fences = same.filter_map(|entry| Some(entry.exchange.run.as_ref()?.delivery.fence()));
        let replayed = kept.replays.iter().filter(|(of, _)| *of == key).map(|(_, fence)| *fence);
        let largest = fences.chain(replayed).chain([run.delivery.fence()]).max()?;
        let next = Fence::new(largest.get().saturating_add(1));
        kept.replays.retain(|(of, _)| *of != key);
        if kept.replays.len() >= self.0.most {
            kept.replays.remove(0);
        }
        kept.replays.push((key, next));
        Some(next)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn key(&self) -> Option<Key> {
        self.exchange.run.as_ref().map(|run| run.delivery.key())
    }
}
