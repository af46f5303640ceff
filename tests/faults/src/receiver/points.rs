//! The points of a delivery at which a receiver can be told to die. All of them wrap an input of the layer: the
//! request's body, the clock, the store, the handler, or the service around it.

use clap::ValueEnum;
use rustix::process::{Signal, getpid, kill_process};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Point {
    BeforeBody,
    /// Read to its end, but not verified.
    AfterBody,
    AfterVerification,
    BeforeClaim,
    /// The first of a delivery's two keys is claimed, the second is not.
    BetweenClaims,
    AfterClaim,
    BeforeEffect,
    AfterEffect,
    BeforeComplete,
    BetweenCompletes,
    AfterComplete,
    BeforeAnswer,
    AfterAnswer,
}

#[derive(Debug)]
pub(super) struct Points(Option<Point>);

impl Points {
    pub(super) fn new(armed: Option<Point>) -> Self {
        Self(armed)
    }

    /// Kills this process with `kill -9` if it must die here.
    pub(super) fn pass(&self, point: Point) {
        if self.0 == Some(point) {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
            loop {
                std::thread::park();
            }
        }
    }

    pub(super) fn in_store(&self) -> bool {
        use Point::*;
        matches!(
            self.0,
            Some(BeforeClaim | BetweenClaims | AfterClaim)
                | Some(BeforeComplete | BetweenCompletes | AfterComplete)
        )
    }
}
