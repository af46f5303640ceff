//! What the sender has detected and this receiver has not handled, fetched from the sender's API and handled
//! now (feature `sender-api`).
//!
//! Both senders give up after a few attempts; what was lost while the receiver was down is lost for good unless
//! somebody asks. A pass does:
//!
//! 1. read the sender's log back to [`since`](Reconcile::since), the newest entries first, because the log grows
//!    at that end while it is read;
//! 2. take them from the oldest on, and claim each in the receiver's own store, as a delivery of the sender's
//!    is claimed. What was handled before is known by that, and costs no further call;
//! 3. fetch what is unknown, and give it to the handler as a [`Delivery`] whose
//!    [`is_reconciled`](Delivery::is_reconciled) says that it was never signed;
//! 4. record the success. A pass that is killed is simply begun again.

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

/// What a pass is to look at: a monitor of ScrapeBadger's, or a source of Scrapest's.
#[derive(Clone, Debug)]
#[must_use]
pub struct Reconcile {
    of: String,
    since: Duration,
    only_failed: bool,
    dry_run: bool,
}

impl Reconcile {
    /// The monitor or source with this id, over the last 24 h.
    pub fn new(of: impl Into<String>) -> Self {
        let since = Duration::from_secs(24 * 3_600);
        Self { of: of.into(), since, only_failed: false, dry_run: false }
    }

    /// How far back to look. At most the receiver's retention: what its store has forgotten would run again.
    /// Default: 24 h.
    pub fn since(self, since: Duration) -> Self {
        Self { since, ..self }
    }

    /// Only what the sender has given up on by its own log. For a store that does not know what was handled, such
    /// as an empty one. ScrapeBadger only. Default: everything that is unknown here.
    pub fn only_failed(self) -> Self {
        Self { only_failed: true, ..self }
    }

    /// Only count what would be handled: nothing is fetched and no handler runs. Each unknown entry is claimed
    /// and given back, so its next attempt counts one more.
    pub fn dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }
}

/// What a pass has found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconciled {
    /// How many entries of the log were looked at.
    pub looked_at: u64,
    /// How many of them were handled before.
    pub known: u64,
    /// How many were missing and are handled now; in a dry run, how many would be.
    pub missing: u64,
    /// How many cannot be handled any more, because the sender does not have the tweet any longer.
    pub gone: u64,
    /// How many were not handled: the handler failed, another attempt runs, or the store does not answer. The next
    /// pass takes them.
    pub left: u64,
    /// How many requests the sender's API was asked.
    pub calls: u64,
}

impl Reconciled {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// Why a pass could not be made, or not to its end. What it had handled by then is recorded.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The receiver's settings do not allow it.
    Config(ConfigError),
    /// The sender's API could not be asked.
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

    /// One entry of the log. What the sender no longer has is counted; an API that fails ends the pass.
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
        // The application does not want it: its delivery would not have run either.
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
