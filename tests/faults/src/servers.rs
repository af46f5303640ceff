//! The stores' servers: starts, kills and restarts them.

use anyhow::{Context, Result};
use clap::ValueEnum;
use support::Folder;
use support::servers::postgres::Postgres;
use support::servers::redis::{DURABLE, RedisServer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    Memory,
    Sqlite,
    Redis,
    Postgres,
}

impl Store {
    pub const ALL: [Self; 4] = [Self::Memory, Self::Sqlite, Self::Redis, Self::Postgres];

    /// The number of receivers that may share it.
    pub fn receivers(self) -> usize {
        if self == Self::Memory { 1 } else { 2 }
    }

    pub fn start(self, folder: &Folder) -> Result<Server> {
        Ok(match self {
            Self::Memory => Server::None("memory:".to_owned()),
            Self::Sqlite => Server::None(format!("sqlite:{}", folder.file("deliveries.db"))),
            Self::Redis => Server::Redis(RedisServer::start(DURABLE).context("redis-server")?),
            Self::Postgres => Server::Postgres(Postgres::start(&[]).context("postgresql")?),
        })
    }
}

/// The server of a store, if it has one.
pub enum Server {
    None(String),
    Redis(RedisServer),
    Postgres(Postgres),
}

impl Server {
    pub fn url(&self) -> String {
        match self {
            Self::None(url) => url.clone(),
            Self::Redis(redis) => redis.url(),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    pub fn url_through(&self, port: u16) -> String {
        match self {
            Self::None(url) => url.clone(),
            Self::Redis(_) => format!("redis://127.0.0.1:{port}"),
            Self::Postgres(postgres) => postgres.url_through(port),
        }
    }

    pub fn port(&self) -> Option<u16> {
        match self {
            Self::None(_) => None,
            Self::Redis(redis) => Some(redis.port),
            Self::Postgres(postgres) => Some(postgres.port()),
        }
    }

    /// Kills it with `kill -9`.
    pub fn kill(&mut self) {
        match self {
            Self::None(_) => {}
            Self::Redis(redis) => redis.kill(),
            Self::Postgres(postgres) => postgres.kill(),
        }
    }

    pub fn run(&mut self) {
        match self {
            Self::None(_) => {}
            Self::Redis(redis) => redis.run(),
            Self::Postgres(postgres) => postgres.run(),
        }
    }
}
