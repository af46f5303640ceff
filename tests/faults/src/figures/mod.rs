//! The figures. Each is a function from options to violations.

mod attacks;
pub mod defects;
pub mod f1;
pub mod f13;
pub mod f14;
pub mod f15;
pub mod f16;
pub mod f2;
pub mod f5;
pub mod f6;
pub mod f8;
pub mod points;
pub mod queue_speed;

use anyhow::Result;

use crate::judge::Verdict;
use crate::receiver::Framework;
use crate::servers::Store;
use crate::site::Site;

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub stores: Vec<Store>,
    pub frameworks: Vec<Framework>,
    /// Times are divided by this.
    pub scale: u32,
    /// The size in the goals, instead of one that fits into two minutes.
    pub full: bool,
    /// The outage of F8; all if `None`.
    pub phase: Option<f8::Phase>,
    /// The duration of F14.
    pub minutes: u32,
}

/// Broken promises; empty if there are none.
pub type Violations = Vec<String>;

/// Prints a verdict, its violations, and the journal that they come from.
fn report(figure: &str, site: &Site, options: &Options, verdict: &Verdict) -> Result<Violations> {
    let title = format!("{figure} {:?}/{:?}", site.store, site.setup.framework).to_lowercase();
    println!("{title}: {verdict}");
    let mut found = Vec::new();
    for (what, offenders) in verdict.violations() {
        let some: Vec<_> = offenders.iter().take(5).map(String::as_str).collect();
        found.push(format!("{title}: {} × {what}: {}", offenders.len(), some.join(", ")));
    }
    if !found.is_empty() {
        found.push(format!("{title}: its journal is {}", site.keep(figure, options)?.display()));
    }
    Ok(found)
}
