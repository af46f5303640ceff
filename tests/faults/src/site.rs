//! A store, receivers on it, and their journal: the setup of each figure.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use support::Folder;

use crate::figures::Options;
use crate::journal::Journal;
use crate::judge::{History, Terms};
use crate::process::{Receiver, Setup};
use crate::receiver::{Framework, LEASE, Point};
use crate::sender::{Fleet, Sender};
use crate::servers::{Server, Store};

pub struct Site {
    pub store: Store,
    pub server: Server,
    pub setup: Setup,
    pub journal: Arc<Journal>,
    pub fleet: Arc<Fleet>,
    pub receivers: Vec<Receiver>,
    path: PathBuf,
    started: usize,
    // The last field, so that its users are dropped first.
    _folder: Folder,
}

impl Site {
    /// Starts only the store.
    pub fn new(store: Store, framework: Framework, scale: u32, work_ms: u64) -> Result<Self> {
        let folder = Folder::new();
        let server = store.start(&folder)?;
        let url = server.url();
        Self::on(store, server, url, folder, framework, scale, work_ms, "site")
    }

    /// Uses the server of another site, with its own namespace.
    pub fn beside(
        store: Store,
        url: Option<&str>,
        namespace: &str,
        framework: Framework,
        scale: u32,
        work_ms: u64,
    ) -> Result<Self> {
        let folder = Folder::new();
        let server = match url {
            Some(url) => Server::None(url.to_owned()),
            None => store.start(&folder)?,
        };
        let url = server.url();
        Self::on(store, server, url, folder, framework, scale, work_ms, namespace)
    }

    #[expect(clippy::too_many_arguments, reason = "the results of the two constructors")]
    fn on(
        store: Store,
        server: Server,
        url: String,
        folder: Folder,
        framework: Framework,
        scale: u32,
        work_ms: u64,
        namespace: &str,
    ) -> Result<Self> {
        let path = PathBuf::from(folder.file("journal"));
        let journal = Arc::new(Journal::open(&path)?);
        let setup = Setup {
            url,
            framework,
            namespace: namespace.to_owned(),
            scale,
            work_ms,
            defect: None,
            guarded: false,
            journal: Some((path.clone(), Arc::clone(&journal))),
            log: PathBuf::from(folder.file("log")),
        };
        Ok(Self {
            store,
            server,
            setup,
            journal,
            fleet: Arc::default(),
            receivers: Vec::new(),
            path,
            started: 0,
            _folder: folder,
        })
    }

    /// Starts a receiver at this place, and replaces the one that was there.
    pub fn start(&mut self, place: usize, kill_at: Option<Point>) -> Result<()> {
        let name = format!("r{}", self.started);
        self.started += 1;
        let receiver = Receiver::start(&self.setup, &name, kill_at)?;
        self.fleet.set(place, &name, receiver.address);
        match self.receivers.get_mut(place) {
            Some(present) => *present = receiver,
            None => self.receivers.push(receiver),
        }
        Ok(())
    }

    pub fn start_all(&mut self) -> Result<()> {
        (0..self.store.receivers()).try_for_each(|place| self.start(place, None))
    }

    pub fn sender(&self) -> Sender {
        Sender::new(Arc::clone(&self.fleet), Arc::clone(&self.journal), self.setup.scale)
    }

    /// Kills the store's server with `kill -9`.
    pub fn store_goes(&mut self) {
        self.journal.note(format_args!("store-down"));
        tokio::task::block_in_place(|| self.server.kill());
    }

    pub fn store_comes(&mut self) {
        tokio::task::block_in_place(|| self.server.run());
        self.journal.note(format_args!("store-up"));
    }

    pub fn terms(&self) -> Terms {
        Terms {
            lease: micros(LEASE / self.setup.scale),
            // The crate finds a store again within 2 s; a busy machine needs more.
            recovery: 3_000_000,
            takeover_slack: 2_000_000,
            forgets: self.store == Store::Memory,
            stops_with_a_receiver: self.store == Store::Sqlite,
        }
    }

    pub fn history(&self) -> Result<History> {
        History::read(&self.path)
    }

    /// Keeps the journal of a failed run, and returns its path.
    pub fn keep(&self, figure: &str, options: &Options) -> Result<PathBuf> {
        let name = format!("faults-{figure}-{:?}-{}.journal", self.store, options.seed);
        let kept = std::env::temp_dir().join(name.to_lowercase());
        std::fs::copy(&self.path, &kept)?;
        Ok(kept)
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
