//! Writes to standard output and standard error.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};

use crate::terminal;

/// Writes the whole text. A reader that stops early (`| head -1`) is not an error.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let text = text.as_ref();
    let plain;
    let bytes = match stdout.is_terminal() {
        true => {
            plain = terminal::plain(&String::from_utf8_lossy(text)).into_owned();
            plain.as_bytes()
        }
        false => text,
    };
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("stdout cannot be written"),
    }
}

/// Prints a message to standard error, if possible.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    let mut stderr = io::stderr();
    let text = text.to_string();
    _ = match stderr.is_terminal() {
        true => writeln!(stderr, "{}", terminal::plain(&text)),
        false => writeln!(stderr, "{text}"),
    };
}
