//! A receiver in a separate process, which can be killed: axum or actix around the layer. Its arguments set its
//! times and the point at which it dies.

mod handler;
mod on_actix;
mod on_axum;
mod points;
mod stores;

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::ValueEnum;
use scrapest_webhook::store::{AnyStore, MemoryStore, store_from_url};
use scrapest_webhook::{Provider, WebhookLayer};

use self::handler::Handler;
pub use self::points::Point;
use self::points::Points;
use crate::journal::{Journal, micros};
use crate::sender::SECRET;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framework {
    Axum,
    Actix,
}

/// A defect of a receiver, which the judge must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Defect {
    /// It answers 200 before the handler has run.
    EarlyAck,
    /// Its store forgets every delivery at once.
    Forget,
    /// It ignores leases.
    NoLease,
}

#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    pub name: String,
    #[arg(long)]
    pub store: String,
    #[arg(long)]
    pub framework: Framework,
    /// Without a journal, the handler only answers.
    #[arg(long)]
    pub journal: Option<PathBuf>,
    /// Separates the receivers of different tests in one store.
    #[arg(long)]
    pub namespace: String,
    /// Divides the lease, the answer deadline and the run limit.
    #[arg(long, default_value_t = 1)]
    pub scale: u32,
    /// How long a successful handler takes before its effect, and again after it.
    #[arg(long, default_value_t = 0)]
    pub work_ms: u64,
    #[arg(long)]
    pub kill_at: Option<Point>,
    #[arg(long)]
    pub defect: Option<Defect>,
    /// A limit on failed authentications, and a small memory store.
    #[arg(long)]
    pub guarded: bool,
}

/// The limit of a hanging handler, less than the crate's default, so that the sender still retries.
const RUN_LIMIT: Duration = Duration::from_secs(20);
pub const LEASE: Duration = Duration::from_secs(15);

/// Failed authentications per minute and address that a guarded receiver allows.
pub const FAILURES: u32 = 20;
/// The capacity of its store.
pub const FEW: NonZeroUsize = NonZeroUsize::new(4_000).expect("not 0");

/// Serves until standard input ends, so that it does not outlive its parent.
pub fn run(arguments: Arguments) -> Result<()> {
    std::thread::spawn(|| {
        _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    // Without a backtrace, because the first one stops a process for longer than a scaled lease.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let journal = arguments.journal.as_deref().map(Journal::open).transpose()?.map(Arc::new);
    if let Some(journal) = &journal {
        watch_the_machine(Arc::clone(journal), arguments.name.clone());
    }
    let points = Arc::new(Points::new(arguments.kill_at));
    let handler = Handler {
        name: arguments.name.clone(),
        journal,
        work: Duration::from_millis(arguments.work_ms),
        scale: arguments.scale,
        points: Arc::clone(&points),
    };
    let outer = Outer { points, early: arguments.defect == Some(Defect::EarlyAck) };
    match arguments.framework {
        Framework::Axum => on_axum::serve(&arguments, handler, outer),
        Framework::Actix => on_actix::serve(&arguments, handler, outer),
    }
}

/// Records when this process did not get the processor, which is a stop that nobody ordered. Not on the
/// runtime, because a layer that blocks the runtime is not excused.
fn watch_the_machine(journal: Arc<Journal>, name: String) {
    const BEAT: Duration = Duration::from_millis(50);
    std::thread::spawn(move || {
        loop {
            let from = micros();
            std::thread::sleep(BEAT);
            if micros() - from > 5 * BEAT.as_micros() as u64 {
                journal.note(format_args!("stalled {name} {from}"));
            }
        }
    });
}

/// The service around the layer.
#[derive(Clone)]
struct Outer {
    points: Arc<Points>,
    early: bool,
}

/// Opened inside the runtime that uses it.
fn store(arguments: &Arguments, points: &Arc<Points>) -> Result<AnyStore> {
    let store = match arguments.guarded {
        true => AnyStore::new(MemoryStore::with_capacity(FEW)),
        false => store_from_url(&arguments.store)?,
    };
    Ok(match arguments.defect {
        Some(defect @ (Defect::Forget | Defect::NoLease)) => {
            AnyStore::new(stores::Defective { store, defect })
        }
        // Wrapped only if needed, because a store may claim both keys of a delivery in one step.
        _ if points.in_store() => AnyStore::new(stores::Watched::new(store, Arc::clone(points))),
        _ => store,
    })
}

fn layer<P: Provider + Default>(
    arguments: &Arguments,
    store: &AnyStore,
    points: &Arc<Points>,
) -> Result<WebhookLayer<P>> {
    let defaults = P::default();
    let points = Arc::clone(points);
    let mut layer = WebhookLayer::<P>::try_new(SECRET)?;
    if arguments.guarded {
        layer = layer.with_failed_auth_limit(FAILURES);
    }
    let layer = layer
        .with_namespace(format!("{}-{}", arguments.namespace, defaults.name()))
        .with_answer_deadline(defaults.answer_deadline() / arguments.scale)
        .with_lease(LEASE / arguments.scale)
        .with_run_limit(RUN_LIMIT / arguments.scale)
        .with_store(store.clone())
        .with_clock(move || {
            // Only verified requests are checked for freshness.
            points.pass(Point::AfterVerification);
            SystemTime::now()
        })
        .check()?;
    Ok(layer)
}
