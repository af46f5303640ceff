//! A process of the queue, from the point of view of its parent.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::Role;

pub struct Process {
    pub address: SocketAddr,
    process: Child,
}

impl Process {
    /// Starts a process and waits until it is ready. It ends with this process, for whatever reason.
    pub fn start(role: Role, url: &str, journal: &Path, log: &Path) -> Result<Self> {
        let log = File::options().append(true).create(true).open(log)?;
        let role = role.to_possible_value().context("a role has a name")?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["queue-process", "--role", role.get_name(), "--url", url, "--journal"])
            .arg(journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.strip_prefix("listening on ").context("it does not start")?;
        Ok(Self { address: address.trim().parse()?, process })
    }

    /// Kills it with `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.kill();
    }
}
