//! What goes to stdout, and what is said beside it.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Writes it all. A reader that has had enough (`| head -1`) is no error.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("stdout cannot be written"),
    }
}

/// Says something on standard error, if that can be written.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    _ = writeln!(io::stderr(), "{text}");
}
