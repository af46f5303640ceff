//! The input file of a command: a bare body, or a recording.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::recording::Recording;

#[derive(Debug)]
pub(crate) enum Input {
    Body(Vec<u8>),
    Recording(Recording),
}

impl Input {
    /// Reads `--file`; `-` is stdin.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let flag = || format!("--file {}", path.display());
        let bytes = match path.to_str() {
            Some("-") => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
            _ => std::fs::read(path),
        };
        let bytes = bytes.context("cannot be read").with_context(flag)?;
        match Recording::is_one(&bytes) {
            true => Recording::parse(&bytes).map(Self::Recording).with_context(flag),
            false => Ok(Self::Body(bytes)),
        }
    }

    /// Returns the body, to be signed again.
    pub(crate) fn into_body(self, path: &Path) -> Result<Vec<u8>> {
        match self {
            Self::Body(body) => Ok(body),
            Self::Recording(recording) => {
                ensure!(
                    recording.is_whole,
                    "--file {}: is a recording with an incomplete body, expected a complete one",
                    path.display()
                );
                Ok(recording.body)
            }
        }
    }
}
