//! Shows the requests to people, one after another, each refused one with its likely cause.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::exchange::{Cause, Exchange};
use super::inspector::Exchanges;
use super::lines::Lines;
use super::pretty::Pretty;
use crate::checks::CheckArgs;
use crate::secret::SecretArgs;
use crate::sender::Sender;
use crate::verify;

/// How many requests may wait here. More are counted but not shown, because deliveries must not wait for the
/// display.
const WAITING: usize = 1_024;
const WAITING_BYTES: usize = 32 * 1024 * 1024;

/// With this many waiting, causes are left out, because finding one takes dozens of signatures.
const BUSY: usize = 64;

/// The time limit for finding one cause.
const PATIENCE: Duration = Duration::from_secs(5);

/// Receives the requests to show. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    queue: mpsc::Sender<Exchange>,
    load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Load {
    bytes: AtomicUsize,
    left_out: AtomicU64,
}

/// Finds the cause that `verify` would report.
#[derive(Clone, Debug)]
pub(super) struct Explainer {
    pub(super) sender: Sender,
    pub(super) secret: SecretArgs,
    pub(super) checks: CheckArgs,
    pub(super) path: String,
}

impl Desk {
    pub(super) fn start(
        explainer: Explainer,
        pretty: Option<(Pretty, Lines)>,
        exchanges: Option<Exchanges>,
    ) -> Self {
        let (queue, mut received) = mpsc::channel::<Exchange>(WAITING);
        let load = Arc::new(Load::default());
        let desk = Self { queue, load: Arc::clone(&load) };
        tokio::spawn(async move {
            while let Some(exchange) = received.recv().await {
                load.bytes.fetch_sub(exchange.recording.body.len(), Ordering::Relaxed);
                let cause = explainer.explain(&exchange, received.len() >= BUSY).await;
                if let Some((pretty, lines)) = &pretty {
                    let left_out = load.left_out.swap(0, Ordering::Relaxed);
                    let text = pretty.exchange(&exchange, cause.as_ref(), left_out);
                    if lines.print(text).await.is_err() {
                        return;
                    }
                }
                if let Some(exchanges) = &exchanges {
                    exchanges.add(exchange, cause);
                }
            }
        });
        desk
    }

    /// Never blocks.
    pub(super) fn take(&self, exchange: Exchange) {
        let bytes = exchange.recording.body.len();
        let waiting = self.load.bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > WAITING_BYTES && waiting > 0 || self.queue.try_send(exchange).is_err()
        {
            self.load.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.load.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Explainer {
    async fn explain(&self, exchange: &Exchange, is_busy: bool) -> Option<Cause> {
        let cause = |why: &str, likely: &str| {
            Some(Cause { why: why.to_owned(), likely: vec![likely.to_owned()] })
        };
        if !exchange.is_served {
            let target = exchange.recording.target.split('?').next().unwrap_or_default();
            let why = format!("the path {target:?} is not served");
            return cause(
                &why,
                &format!(
                    "the webhook's URL at the sender is wrong: its path must be {}",
                    self.path
                ),
            );
        }
        let status = exchange.status?;
        if (200..300).contains(&status) {
            return None;
        }
        let Some(kind) = exchange.rejection else {
            let why = format!("the service answered {status}; the sender retries");
            return Some(Cause { why, likely: Vec::new() });
        };
        // A pipe cannot be read again, and a cause found without the secret would be wrong.
        let is_explained = exchange.is_unauthenticated() || matches!(status, 400..500);
        if is_explained && !is_busy && self.secret.is_readable_again() {
            let refusal = verify::explain(
                self.sender,
                &self.secret,
                &self.checks,
                exchange.recording.clone(),
            );
            // The layers of the trials would log as if they had received requests.
            let refusal = refusal.with_subscriber(NoSubscriber::default());
            if let Ok(Ok(Some(refusal))) = timeout(PATIENCE, refusal).await
                && refusal.check() == kind
            {
                return Some(Cause { why: refusal.why, likely: refusal.causes });
            }
        }
        Some(Cause { why: kind.as_str().replace('_', " "), likely: Vec::new() })
    }
}
