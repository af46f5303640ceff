//! `scrapest-webhook`: receive, forward, send, sign and verify webhooks from the command line.
//!
//! Signatures, claims and the senders' formats are implemented in the crate. Each command is a separate module.

#![forbid(unsafe_code)]

mod api;
mod checks;
mod client;
mod curl;
mod doctor;
mod flag;
mod input;
mod kind;
mod listen;
mod moment;
mod output;
mod queue;
mod reconcile;
mod recording;
mod request;
mod secret;
mod send;
mod sender;
mod shell;
mod sign;
mod store;
mod terminal;
mod verify;
mod webhook;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Receive, forward, send, sign and verify the webhooks of Scrapest and ScrapeBadger.
#[derive(Debug, Parser)]
#[command(name = "scrapest-webhook", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Listen(Box<listen::Listen>),
    Send(send::Send),
    Trigger(send::Trigger),
    Sign(sign::Sign),
    Verify(verify::Verify),
    Work(Box<work::Work>),
    Queue(queue::Queue),
    Webhook(webhook::Webhook),
    Reconcile(Box<reconcile::Reconcile>),
    Doctor(Box<doctor::Doctor>),
    Completions(shell::Completions),
    Man(shell::Man),
}

#[tokio::main]
async fn main() -> ExitCode {
    shell::complete();
    // One provider for TLS in both directions and to the stores.
    _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match Cli::parse().command {
        Command::Listen(command) => command.run().await,
        Command::Send(command) => command.run().await,
        Command::Trigger(command) => command.run().await,
        Command::Sign(command) => command.run(),
        Command::Verify(command) => command.run().await,
        Command::Work(command) => command.run().await,
        Command::Queue(command) => command.run().await,
        Command::Webhook(command) => command.run().await,
        Command::Reconcile(command) => command.run().await,
        Command::Doctor(command) => command.run().await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        // On one line, with all causes.
        output::say(format_args!("error: {error:#}"));
        ExitCode::from(2)
    })
}
