//! The location of a queue: a separate file, or a separate database on the shared server.

use std::sync::OnceLock;

use scrapest_webhook::queue::Queue;
use sqlx::{Connection, PgConnection, SqliteConnection};
use support::Folder;
use support::servers::postgres::Postgres;

pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) folder: Folder,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = Folder::new();
        let url = format!("sqlite:{}", folder.file("queue.db"));
        Self { url, folder }
    }

    /// Returns `None` where PostgreSQL is not installed.
    pub(crate) async fn postgres() -> Option<Self> {
        static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
        static CREATING: tokio::sync::Mutex<u32> = tokio::sync::Mutex::const_new(0);
        let start = || SERVER.get_or_init(|| Postgres::start(&["max_connections=400"])).as_ref();
        let server = tokio::task::block_in_place(start)?;
        // One at a time: each is a copy of a template database that must not be in use.
        let mut number = CREATING.lock().await;
        *number += 1;
        let name = format!("queue_{number}");
        let mut connection = PgConnection::connect(&server.url()).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let url = server.url().replace("/postgres?", &format!("/{name}?"));
        Some(Self { url, folder: Folder::new() })
    }

    pub(crate) async fn queue(&self) -> Queue {
        Queue::open(&self.url).await.unwrap()
    }

    /// Runs a statement in the database without the queue.
    pub(crate) async fn sql(&self, statement: &str) -> u64 {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        if self.url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            let done = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
            return done.rows_affected();
        }
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let done = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
        done.rows_affected()
    }
}
