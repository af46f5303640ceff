//! A receiver's process, from the point of view of its parent.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};

use crate::journal::Journal;
use crate::receiver::{Defect, Framework, Point};

/// The settings with which a receiver is started and restarted.
#[derive(Clone)]
pub struct Setup {
    pub url: String,
    pub framework: Framework,
    pub namespace: String,
    pub scale: u32,
    pub work_ms: u64,
    pub defect: Option<Defect>,
    /// With a failure limit, and with a small memory store.
    pub guarded: bool,
    /// Without a journal, the handler only answers.
    pub journal: Option<(PathBuf, Arc<Journal>)>,
    /// The file for its standard error.
    pub log: PathBuf,
}

pub struct Receiver {
    pub name: String,
    pub address: SocketAddr,
    process: Child,
    journal: Option<Arc<Journal>>,
}

impl Receiver {
    /// Starts a listening process. It ends with this process, for whatever reason.
    pub fn start(setup: &Setup, name: &str, kill_at: Option<Point>) -> Result<Self> {
        let log = File::options().append(true).create(true).open(&setup.log)?;
        let mut command = Command::new(std::env::current_exe()?);
        // Recommended by the manual for glibc, which otherwise keeps as much freed memory again.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        command.args(["receiver", "--name", name, "--store", &setup.url]);
        command.args(["--namespace", &setup.namespace, "--scale", &setup.scale.to_string()]);
        command.args(["--work-ms", &setup.work_ms.to_string()]);
        command.args(["--framework", &word(setup.framework)]);
        if let Some((path, _)) = &setup.journal {
            command.arg("--journal").arg(path);
        }
        if let Some(point) = kill_at {
            command.args(["--kill-at", &word(point)]);
        }
        if let Some(defect) = setup.defect {
            command.args(["--defect", &word(defect)]);
        }
        if setup.guarded {
            command.arg("--guarded");
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().context("its output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line
            .strip_prefix("listening on ")
            .with_context(|| format!("{name} does not listen, see {}", setup.log.display()))?;
        let journal = setup.journal.as_ref().map(|(_, journal)| Arc::clone(journal));
        Ok(Self { name: name.to_owned(), address: address.trim().parse()?, process, journal })
    }

    /// Kills it with `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.note("killed");
        Ok(())
    }

    /// Waits until it has died by itself.
    pub async fn died(&mut self) -> Result<()> {
        // Not `wait`, which would close its standard input and so end it.
        while self.process.try_wait()?.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.note("killed");
        Ok(())
    }

    pub fn stop(&self) -> Result<()> {
        self.note("stopped");
        Ok(kill_process(Pid::from_child(&self.process), Signal::STOP)?)
    }

    pub fn go_on(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::CONT)?;
        self.note("continued");
        Ok(())
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(Path::new(&path))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("VmRSS")?.parse::<u64>()? * 1024)
    }

    fn note(&self, what: &str) {
        if let Some(journal) = &self.journal {
            journal.note(format_args!("{what} {}", self.name));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
