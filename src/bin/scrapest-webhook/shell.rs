//! Completions and the manual pages, generated from clap's description of the commands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use crate::{Cli, output};

/// The name that the shells complete.
const NAME: &str = "scrapest-webhook";

/// The variable with which a shell's script asks this program for completions.
const VARIABLE: &str = "COMPLETE";

/// Print the completion script for a shell
///
/// The script asks the installed scrapest-webhook for completions, so it stays correct after an update.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  scrapest-webhook completions bash > ~/.local/share/bash-completion/completions/scrapest-webhook
  scrapest-webhook completions zsh > ~/.zfunc/_scrapest-webhook
  scrapest-webhook completions fish > ~/.config/fish/completions/scrapest-webhook.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Print the manual page, or write the pages of all commands
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

/// If a shell's script has started the process, prints the completions and exits.
pub(crate) fn complete() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let shell = match self.shell {
            Shell::Bash => "bash",
            Shell::Elvish => "elvish",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
            Shell::Zsh => "zsh",
        };
        let mut script = Vec::new();
        let shells = Shells::builtins();
        let completer = shells.completer(shell).context("completions: this shell is unknown")?;
        completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
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
