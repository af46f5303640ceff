//! Completions and the manual pages, from clap's own description of the commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::{Cli, output};

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  scrapest-webhook completions bash > /etc/bash_completion.d/scrapest-webhook")]
pub(crate) struct Completions {
    shell: clap_complete::Shell,
}

/// Print the manual page, or write that of every command
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  scrapest-webhook man | man -l -
  scrapest-webhook man --dir /usr/share/man/man1")]
pub(crate) struct Man {
    /// An existing directory for scrapest-webhook.1, scrapest-webhook-send.1 and so on
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode> {
        // Into memory first: it would panic on a closed stdout.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "scrapest-webhook", &mut script);
        output::print(script)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if let Some(dir) = self.dir {
            clap_mangen::generate_to(Cli::command(), &dir)
                .with_context(|| format!("--dir {} cannot be written", dir.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        output::print(page)?;
        Ok(ExitCode::SUCCESS)
    }
}
