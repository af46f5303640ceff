//! The record of every step: a file with one line per step, appended in one write by every process involved.

use std::fmt::Arguments;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    pub fn open(path: &Path) -> std::io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    /// The kernel has the line when this returns, so `kill -9` loses none.
    pub fn note(&self, what: Arguments<'_>) {
        let line = format!("{} {what}\n", micros());
        // One write, so that lines of two processes do not mix.
        (&self.0).write_all(line.as_bytes()).expect("the journal can be written");
    }
}

/// A clock that all processes of the machine share and that is never set.
pub fn micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}
