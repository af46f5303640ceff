//! Counts the bytes of all bodies in memory, and chooses the body to evict when there is no room for a new one.
//!
//! A complete body is authenticated at once and keeps its bytes. A body that **waits** for its next piece belongs to
//! a client that is not authenticated, so it is registered here under its client's address. When a new body finds no
//! room, a waiting body is evicted: of the address that holds the most bytes, the body that has cost the most, which
//! is its bytes times its waiting time. So an address gets no more than its share while others need theirs, and a
//! body that arrives quickly is not evicted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::time::Instant;

use crate::access::Account;
use crate::observe::GaugeGuard;

/// Bodies of up to this many bytes have a part of the cap reserved for them: a typical delivery has about 2,000.
const SMALL: usize = 64 * 1024;

/// Only small bodies may use one part in this many of the cap.
const PART_FOR_SMALL: usize = 8;

#[derive(Debug)]
pub(super) struct BytesInFlight {
    limit: usize,
    held: AtomicUsize,
    /// How many of these bytes belong to bodies that are not small.
    held_by_large: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_ticket: u64,
    accounts: HashMap<Account, HashMap<u64, WaitingBody>>,
}

#[derive(Debug)]
struct WaitingBody {
    bytes: usize,
    since: Instant,
    waker: Waker,
}

/// The registration of a waiting body.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    account: Account,
    number: u64,
}

/// Why a body cannot hold more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// All bytes belong to complete bodies.
    Full,
    /// This body was evicted.
    GaveWay,
}

/// The bytes that one body holds, given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    /// `None` while the body holds no bytes.
    of: Option<Arc<BytesInFlight>>,
    bytes: usize,
    /// Set once the body has waited. From then on its bytes are counted in its registration.
    ticket: Option<Ticket>,
    level: GaugeGuard,
}

impl Share {
    pub(crate) fn none(level: GaugeGuard) -> Self {
        Self { of: None, bytes: 0, ticket: None, level }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Registers the body, which has to wait for its next piece. From now on it may be evicted, and is then woken.
    pub(crate) fn wait(
        &mut self,
        waker: &Waker,
        account: impl FnOnce() -> Account,
    ) -> Result<(), NoRoom> {
        let Some(of) = &self.of else { return Ok(()) };
        let mut waiting = of.lock();
        if let Some(ticket) = self.ticket {
            let body = waiting.body(ticket).ok_or(NoRoom::GaveWay)?;
            body.waker.clone_from(waker);
        } else {
            let number = waiting.next_ticket;
            waiting.next_ticket += 1;
            let ticket = Ticket { account: account(), number };
            let body =
                WaitingBody { bytes: self.bytes, since: Instant::now(), waker: waker.clone() };
            waiting.accounts.entry(ticket.account).or_default().insert(number, body);
            drop(waiting);
            self.ticket = Some(ticket);
        }
        Ok(())
    }

    /// Marks the body as complete: it can no longer be evicted.
    pub(crate) fn settle(&mut self) -> Result<(), NoRoom> {
        let (Some(of), Some(ticket)) = (&self.of, self.ticket.take()) else { return Ok(()) };
        if of.lock().remove(ticket).is_none() {
            self.bytes = 0;
            return Err(NoRoom::GaveWay);
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.settle().is_ok()
            && let Some(of) = &self.of
        {
            of.give_back(0, self.bytes);
        }
    }
}

impl BytesInFlight {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            held: AtomicUsize::new(0),
            held_by_large: AtomicUsize::new(0),
            waiting: Mutex::default(),
        })
    }

    /// Adds `count` bytes to the share of a body that may grow to `body_limit`.
    pub(super) fn take(
        self: &Arc<Self>,
        share: &mut Share,
        count: usize,
        body_limit: usize,
    ) -> Result<(), NoRoom> {
        while let Err(of_large) = self.try_take(share.bytes, count, body_limit) {
            if !self.make_room(of_large) {
                return Err(NoRoom::Full);
            }
        }
        if let Some(ticket) = share.ticket {
            let mut waiting = self.lock();
            let Some(body) = waiting.body(ticket) else {
                drop(waiting);
                self.give_back(share.bytes, count);
                return Err(NoRoom::GaveWay);
            };
            body.bytes += count;
        }
        share.of.get_or_insert_with(|| Arc::clone(self));
        share.bytes += count;
        share.level.raise(count);
        Ok(())
    }

    /// Returns `Err(true)` if only the limit for large bodies is reached.
    fn try_take(&self, before: usize, count: usize, body_limit: usize) -> Result<(), bool> {
        let of_large = large_part(before, count);
        // The largest allowed body must always fit.
        let for_small = (self.limit / PART_FOR_SMALL).min(self.limit.saturating_sub(body_limit));
        if of_large > 0 && !add(&self.held_by_large, of_large, self.limit - for_small) {
            return Err(true);
        }
        if !add(&self.held, count, self.limit) {
            self.held_by_large.fetch_sub(of_large, Ordering::Relaxed);
            return Err(false);
        }
        Ok(())
    }

    /// Gives back the last `count` bytes of a body that keeps `before` bytes.
    fn give_back(&self, before: usize, count: usize) {
        self.held.fetch_sub(count, Ordering::Relaxed);
        let of_large = large_part(before, count);
        if of_large > 0 {
            self.held_by_large.fetch_sub(of_large, Ordering::Relaxed);
        }
    }

    /// Evicts one waiting body. Returns `false` if there is none.
    fn make_room(&self, only_large: bool) -> bool {
        let gone = self.lock().take_costliest(only_large);
        let Some(gone) = gone else { return false };
        self.give_back(0, gone.bytes);
        gone.waker.wake();
        true
    }

    /// No code panics while it holds the lock, so a poisoned lock is still valid.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn body(&mut self, ticket: Ticket) -> Option<&mut WaitingBody> {
        self.accounts.get_mut(&ticket.account)?.get_mut(&ticket.number)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<WaitingBody> {
        let bodies = self.accounts.get_mut(&ticket.account)?;
        let body = bodies.remove(&ticket.number);
        if bodies.is_empty() {
            self.accounts.remove(&ticket.account);
        }
        body
    }

    fn take_costliest(&mut self, only_large: bool) -> Option<WaitingBody> {
        let counts = |body: &&WaitingBody| !only_large || body.bytes > SMALL;
        let held = |bodies: &HashMap<u64, WaitingBody>| -> usize {
            bodies.values().filter(counts).map(|body| body.bytes).sum()
        };
        let (account, bodies) = self.accounts.iter().max_by_key(|(_, bodies)| held(bodies))?;
        let now = Instant::now();
        let cost = |body: &WaitingBody| {
            (now.saturating_duration_since(body.since).as_nanos() + 1) * body.bytes as u128
        };
        let of_account = bodies.iter().filter(|(_, body)| counts(body));
        let (number, _) = of_account.max_by_key(|(_, body)| cost(body))?;
        let ticket = Ticket { account: *account, number: *number };
        self.remove(ticket)
    }
}

/// Returns how many more bytes belong to large bodies if a body of `before` bytes gets `count` more.
fn large_part(before: usize, count: usize) -> usize {
    match (before > SMALL, before.saturating_add(count) > SMALL) {
        (true, _) => count,
        (false, true) => before.saturating_add(count),
        (false, false) => 0,
    }
}

fn add(to: &AtomicUsize, count: usize, limit: usize) -> bool {
    to.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        held.checked_add(count).filter(|held| *held <= limit)
    })
    .is_ok()
}
