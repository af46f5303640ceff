//! The handler. It does to each request what the request asks for, and records what it did.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use scrapest_webhook::Delivery;
use tokio::time::sleep;

use super::points::{Point, Points};
use crate::journal::Journal;

/// How this attempt must end, as chosen by the sender. It is not signed, and so not part of the delivery.
pub(super) const FAULT_HEADER: &str = "x-fault";

#[derive(Clone)]
pub(super) struct Handler {
    pub(super) name: String,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) work: Duration,
    pub(super) scale: u32,
    pub(super) points: Arc<Points>,
}

impl Handler {
    /// Returns the status.
    pub(super) async fn run(&self, delivery: Delivery, fault: &str) -> u16 {
        let Some(journal) = &self.journal else { return 200 };
        let run = Run {
            journal,
            id: delivery.id().unwrap_or("-"),
            receiver: &self.name,
            fence: delivery.fence().get(),
        };
        run.note("begin");
        match fault {
            "fail" => {
                sleep(self.work).await;
                return 500;
            }
            "panic" => {
                sleep(self.work).await;
                panic!("as the sender asked");
            }
            "hang" => std::future::pending().await,
            // Longer than either sender waits, and well within the run limit.
            "slow" => sleep(Duration::from_secs(12) / self.scale).await,
            _ => sleep(self.work).await,
        }
        self.points.pass(Point::BeforeEffect);
        run.note("effect");
        self.points.pass(Point::AfterEffect);
        // Between the effect and the record, where a kill does most harm.
        sleep(self.work).await;
        200
    }
}

/// One run. Its end is recorded in every case, unless the process is killed.
struct Run<'a> {
    journal: &'a Journal,
    id: &'a str,
    receiver: &'a str,
    fence: u64,
}

impl Run<'_> {
    fn note(&self, step: impl fmt::Display) {
        self.journal.note(format_args!("{step} {} {} {}", self.id, self.receiver, self.fence));
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.note("over");
    }
}
