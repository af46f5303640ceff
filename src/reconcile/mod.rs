//! Fetches events that the sender has detected and this receiver has not handled from the sender's API, and
//! handles them now (feature `sender-api`).
//!
//! Both senders give up after a few attempts. Deliveries that were lost while the receiver was down are lost for
//! good unless they are fetched. A pass does the following:
//!
//! 1. It reads the sender's log back to [`since`](Reconcile::since), the newest entries first, because the log
//!    grows at that end meanwhile.
//! 2. It claims each entry in the receiver's own store, from the oldest on, in the same way as a delivery from the
//!    sender. The store recognizes entries that were handled before, and they cost no further call.
//! 3. It fetches the unknown entries, and gives each to the handler as a [`Delivery`] whose
//!    [`is_reconciled`](Delivery::is_reconciled) is `true`, because it was never signed.
//! 4. It records the success. A pass that was killed can simply be started again.

mod scrapebadger;
mod scrapest;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config_error::ConfigError;
use crate::delivery::Delivery;
use crate::pipeline::rebuilt::{self, Outcome};
use crate::provider::{Envelope, Provider};
use crate::receiver::Receiver;
use crate::sender_api::{ApiError, ApiErrorKind};

/// The settings of a pass: a monitor of ScrapeBadger's or a source of Scrapest's, and a time.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reconcile {
    of: String,
    since: Duration,
    only_failed: bool,
    dry_run: bool,
}

impl Reconcile {
    /// Creates a pass for the monitor or source with this id, over the last 24 h.
    pub fn new(of: impl Into<String>) -> Self {
        let since = Duration::from_secs(24 * 3_600);
        Self { of: of.into(), since, only_failed: false, dry_run: false }
    }

    /// Sets how far back the pass reads. At most the receiver's retention: deliveries that its store has forgotten
    /// would run again. Default: 24 h.
    pub fn since(self, since: Duration) -> Self {
        Self { since, ..self }
    }

    /// Handles only deliveries that the sender has given up on according to its log. For a store that does not
    /// know what was handled, for example an empty one. ScrapeBadger only. Default: all deliveries that are
    /// unknown here.
    pub fn only_failed(self) -> Self {
        Self { only_failed: true, ..self }
    }

    /// Only counts what would be handled: nothing is fetched and no handler runs. Each unknown entry is claimed
    /// and released, so its attempt number grows by one.
    pub fn dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }
}

/// The result of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciled {
    /// How many entries of the log were checked.
    pub looked_at: u64,
    /// How many of them were handled before.
    pub known: u64,
    /// How many were missing and are handled now. In a dry run, how many would be handled.
    pub missing: u64,
    /// How many can no longer be handled, because the sender no longer has the tweet.
    pub gone: u64,
    /// How many were not handled because the handler failed, another attempt is running, or the store does not
    /// answer. The next pass retries them.
    pub left: u64,
    /// How many requests to the sender's API were made.
    pub calls: u64,
}

impl Reconciled {
    /// Whether no entry is left for the next pass.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// Why a pass did not start or did not finish. The deliveries that it had handled by then are recorded.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The receiver's settings do not allow it.
    Config(ConfigError),
    /// A call to the sender's API failed.
    Api(ApiError),
}

impl fmt::Display for ReconcileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl Error for ReconcileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Api(error) => error.source(),
        }
    }
}

impl From<ConfigError> for ReconcileError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<ApiError> for ReconcileError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl Reconcile {
    fn check<P: Provider>(&self, receiver: &Receiver<P>) -> Result<(), ConfigError> {
        receiver.check()?;
        let retention = receiver.retention();
        if self.since > retention && !self.only_failed {
            let what = format!(
                "is {:?}, expected at most the retention of {retention:?}: a delivery that the store has \
                 forgotten would run again",
                self.since
            );
            return Err(ConfigError::new("since", what));
        }
        Ok(())
    }

    /// Processes one entry of the log. An event that the sender no longer has is counted; a failing API ends the
    /// pass.
    async fn take<P, Fetch, Work, E>(
        &self,
        receiver: &Arc<Receiver<P>>,
        envelope: Envelope<'_>,
        fetch: Fetch,
        handler: impl FnOnce(Delivery) -> Work,
        done: &mut Reconciled,
    ) -> Result<(), ReconcileError>
    where
        P: Provider,
        Fetch: Future<Output = Result<Bytes, ApiError>>,
        Work: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        // The application filters this event, so a regular delivery would not have run either.
        if envelope.filtered {
            return Ok(());
        }
        done.looked_at += 1;
        let work = async |delivery| match handler(delivery).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "a reconciled delivery was not handled; the next pass retries it");
                false
            }
        };
        let fetch = (!self.dry_run).then_some(fetch);
        match rebuilt::receive(receiver, envelope, fetch, work).await {
            Outcome::Handled | Outcome::Unknown => done.missing += 1,
            Outcome::Known => done.known += 1,
            Outcome::Failed => done.left += 1,
            Outcome::WithoutKey => {
                let what = "gives a rebuilt delivery no key in common with the sender's own, so it is unknown \
                            whether it was handled";
                return Err(ConfigError::new("once_per", what).into());
            }
            Outcome::NotNow(reason) => {
                tracing::warn!(
                    reason = reason.as_str(),
                    "a reconciled delivery cannot be handled now; the next pass retries it"
                );
                done.left += 1;
            }
            Outcome::Unfetched(error) if error.kind() == ApiErrorKind::NotFound => {
                tracing::warn!(%error, "a missing tweet no longer exists at the sender");
                done.gone += 1;
            }
            Outcome::Unfetched(error) => return Err(error.into()),
        }
        Ok(())
    }
}
