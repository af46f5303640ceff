//! Counts instructions with callgrind.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// The reason why a number may be missing.
pub const MISSING: &str = "valgrind is not installed";

/// Instructions per delivery, without SHA-256. `None` if valgrind is not installed.
pub fn count(name: &str, deliveries: usize, bytes: usize) -> Option<f64> {
    let profile = std::env::temp_dir().join(format!("callgrind.{}", std::process::id()));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*measured*", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--one", name, &deliveries.to_string(), &bytes.to_string()])
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "{name} under callgrind: {status}");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::remove_file(&profile).unwrap();
    let functions = functions(&text);
    let is_sha256 = |(function, _): &(&&str, &u64)| is_sha256(function);
    let (hash, other): (Vec<_>, Vec<_>) = functions.iter().partition(is_sha256);
    assert_eq!(
        hash.is_empty(),
        name.contains("axum:") || name.starts_with("actix: `Bytes`"),
        "{name}"
    );
    Some(other.iter().map(|(_, cost)| **cost).sum::<u64>() as f64 / deliveries as f64)
}

/// The own cost of each function. A line after `fn=` has a position and a cost, except for the line after
/// `calls=`, which has the cost of the called function.
fn functions(profile: &str) -> BTreeMap<&str, u64> {
    let mut costs = BTreeMap::new();
    let (mut function, mut is_called) = ("", false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            is_called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split_ascii_whitespace().nth(1).and_then(|cost| cost.parse().ok());
            if !std::mem::take(&mut is_called) {
                *costs.entry(function).or_default() += cost.unwrap_or(0);
            }
        }
    }
    costs
}

/// Whether this is a compression function: of sha2, in either version in use, or of hmac-sha256.
fn is_sha256(function: &str) -> bool {
    function.contains("sha256") && function.contains("compress") || function.contains("hmac_sha256")
}
