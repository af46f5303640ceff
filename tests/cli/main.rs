//! The built binary, run as a process.

mod access;
mod attacks;
mod both;
mod browser;
mod completion;
mod forward;
mod hardening;
mod inspector;
mod listen;
mod listening;
mod no_panic;
mod queue;
mod receiving;
mod record;
mod send;
mod shell;
mod sign;
mod stores;
mod terminal;
mod tls;
mod upstream;
mod verify;

use std::process::Command;

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        "listen",
        "send",
        "trigger",
        "sign",
        "verify",
        "work",
        "queue",
        "reconcile",
        "webhook",
        "doctor",
        "completions",
        "man",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"))
            .args([command, "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Example"), "{command}: {help}");
    }
}
