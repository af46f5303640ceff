//! Receivers that are broken on purpose. The judge proves something only if it finds their defects.

use anyhow::Result;

use super::{Options, Violations, f1, f2};
use crate::receiver::Defect;

pub async fn run(options: &Options) -> Result<Violations> {
    println!("defects: what follows must be found wrong");
    let options = Options { full: false, ..options.clone() };
    let found = [
        ("early acknowledgement", "lost", f2::with_defect(&options, Defect::EarlyAck).await?),
        ("a store that forgets", "double", f2::with_defect(&options, Defect::Forget).await?),
        ("a lease not respected", "overlap", f1::with_defect(&options, Defect::NoLease).await?),
    ];
    let mut violations = Vec::new();
    for (defect, expected, found) in found {
        match found.iter().find(|line| line.contains(expected)) {
            Some(line) => println!("defects: {defect} is caught: {:.160}", line),
            None => violations.push(format!("defects: {defect} was not caught as {expected}")),
        }
    }
    Ok(violations)
}
