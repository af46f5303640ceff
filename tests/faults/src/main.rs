//! Real receivers on real stores, faults from a seed, and a judge that counts what was lost or done twice.
//!
//! `cargo run --release -p faults -- short`

mod figures;
mod journal;
mod judge;
mod process;
mod queue;
mod receiver;
mod sender;
mod servers;
mod site;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::figures::f8::Phase;
use self::figures::{Options, Violations};
use self::receiver::Framework;
use self::servers::Store;

#[derive(Parser)]
#[command(about)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// About three minutes: every point, every defect, and a small size of every figure that is judged.
    Short(Chosen),
    /// Every figure at its full size: about half an hour, or two hours with `--scale 1`, in real time.
    Long(Chosen),
    /// `kill -9` of the receiver at each point of a delivery.
    Points(Chosen),
    /// Receivers that are broken on purpose; the judge must find the defects.
    Defects(Chosen),
    /// 200 deliveries, each 1,000 times at once.
    F1(Chosen),
    /// 10,000 deliveries with failing handlers, and kills of receivers and stores.
    F2(Chosen),
    /// The latency that the layer adds at 1,000 events per second.
    F5(Chosen),
    /// Hostile load beside genuine deliveries.
    F6(Chosen),
    /// Small genuine deliveries beside large bodies that never end.
    F15(Chosen),
    /// Captured requests of every kind, replayed under new ids from many addresses.
    F16(Chosen),
    /// The store is down, flapping, slow, and resetting connections.
    F8(Chosen),
    /// 10,000 deliveries into a queue, with 50 kills each of its receiver, workers and database.
    F13(Chosen),
    /// An hour of deliveries through PgBouncer and PostgreSQL, with a failover. Not part of `long`.
    F14(Chosen),
    /// The latency of the queue: the p99 of its answers, and from a push to the start of the run.
    QueueSpeed(Chosen),
    #[command(hide = true)]
    Receiver(receiver::Arguments),
    #[command(hide = true)]
    QueueProcess(queue::Arguments),
}

#[derive(Args, Clone)]
struct Chosen {
    /// The seed of the faults, which is printed so that a run can be repeated. Default: from the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Default: all.
    #[arg(long)]
    store: Option<Store>,
    /// Default: both.
    #[arg(long)]
    framework: Option<Framework>,
    /// Divides leases, deadlines and the sender's backoff; 1 is real time.
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Runs a figure at the size of `short`.
    #[arg(long)]
    small: bool,
    /// Runs only one outage of F8.
    #[arg(long)]
    phase: Option<Phase>,
    /// The duration of F14; with `--small` and in `short` it is one minute.
    #[arg(long, default_value_t = 60)]
    minutes: u32,
}

impl Chosen {
    fn options(&self, full: bool) -> Options {
        Options {
            seed: self.seed.unwrap_or_else(journal::micros),
            stores: self.store.map_or_else(|| Store::ALL.to_vec(), |store| vec![store]),
            frameworks: self
                .framework
                .map_or_else(|| Framework::value_variants().to_vec(), |framework| vec![framework]),
            scale: self.scale.max(1),
            full: full && !self.small,
            phase: self.phase,
            minutes: if full && !self.small { self.minutes.max(1) } else { 1 },
        }
    }
}

fn main() -> Result<ExitCode> {
    let what = match Command::parse().what {
        // It creates the runtime that its framework needs.
        What::Receiver(arguments) => {
            receiver::run(arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        What::QueueProcess(arguments) => {
            queue::run(arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        what => what,
    };
    let (seed, violations) = measure(what)?;
    if violations.is_empty() {
        println!("nothing lost, nothing done twice, nothing at one time (--seed {seed})");
        return Ok(ExitCode::SUCCESS);
    }
    for violation in &violations {
        println!("VIOLATION {violation}");
    }
    println!("{} violations (--seed {seed})", violations.len());
    Ok(ExitCode::FAILURE)
}

#[tokio::main]
async fn measure(what: What) -> Result<(u64, Violations)> {
    let (chosen, full) = match &what {
        What::Short(chosen) => (chosen, false),
        What::Long(chosen) | What::Points(chosen) | What::Defects(chosen) => (chosen, true),
        What::F1(chosen) | What::F2(chosen) | What::F5(chosen) => (chosen, true),
        What::F6(chosen) | What::F8(chosen) | What::F15(chosen) | What::F16(chosen) => {
            (chosen, true)
        }
        What::F13(chosen) | What::F14(chosen) | What::QueueSpeed(chosen) => (chosen, true),
        What::Receiver(_) | What::QueueProcess(_) => unreachable!("it was served before"),
    };
    let options = chosen.options(full);
    println!("seed {}, times divided by {}", options.seed, options.scale);
    let mut violations = Vec::new();
    if matches!(what, What::Short(_) | What::Long(_) | What::Points(_)) {
        violations.extend(figures::points::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::Defects(_)) {
        violations.extend(figures::defects::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F1(_)) {
        violations.extend(figures::f1::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F2(_)) {
        violations.extend(figures::f2::run(&options).await?);
    }
    if matches!(what, What::Long(_) | What::F5(_)) {
        violations.extend(figures::f5::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F15(_)) {
        violations.extend(figures::f15::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F16(_)) {
        violations.extend(figures::f16::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F6(_)) {
        violations.extend(figures::f6::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F8(_)) {
        violations.extend(figures::f8::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::Long(_) | What::F13(_)) {
        violations.extend(figures::f13::run(&options).await?);
    }
    if matches!(what, What::Short(_) | What::F14(_)) {
        violations.extend(figures::f14::run(&options).await?);
    }
    if matches!(what, What::Long(_) | What::QueueSpeed(_)) {
        violations.extend(figures::queue_speed::run(&options).await?);
    }
    Ok((options.seed, violations))
}
