//! A primary with a synchronous hot standby, and a pooler in front that connects to the primary.

use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use support::servers::pgbouncer::PgBouncer;
use support::servers::postgres::Postgres;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// More than all receivers need, so that only they determine their number of connections.
const ROOM: usize = 50;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    primary: Option<Postgres>,
    standby: Postgres,
    pooler: PgBouncer,
    /// Connected to the primary.
    observer: PgConnection,
}

impl Cluster {
    /// Returns `None` where a program is missing.
    pub(super) async fn start() -> Result<Option<Self>> {
        let servers = block_in_place(|| {
            let primary = Postgres::start(&[])?;
            let standby = primary.standby(&[]);
            let pooler = PgBouncer::start(primary.port(), "transaction", ROOM)?;
            Some((primary, standby, pooler))
        });
        let Some((primary, standby, pooler)) = servers else { return Ok(None) };
        let mut observer = PgConnection::connect(&primary.url()).await?;
        // Only after the copy was made, because the copy would wait for a standby itself.
        observer.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        observer.execute("SELECT pg_reload_conf()").await?;
        let is_synchronous =
            "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')";
        until(&mut observer, is_synchronous).await?;
        Ok(Some(Self { primary: Some(primary), standby, pooler, observer }))
    }

    /// The URL of the pooler.
    pub(super) fn url(&self) -> String {
        self.standby.url_through(self.pooler.port)
    }

    /// Connections to the primary, without the observer's.
    pub(super) async fn connections(&mut self) -> Result<i64> {
        let count = "SELECT count(*) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        Ok(sqlx::query_scalar(count).fetch_one(&mut self.observer).await?)
    }

    /// Kills the primary with `kill -9`. It cannot come back, because its data is deleted too.
    pub(super) fn lose_the_primary(&mut self) {
        block_in_place(|| {
            if let Some(mut primary) = self.primary.take() {
                primary.kill();
            }
        });
    }

    /// Promotes the standby, and connects the pooler to it.
    pub(super) async fn promote_the_standby(&mut self) -> Result<()> {
        self.observer = PgConnection::connect(&self.standby.url()).await?;
        self.observer.execute("SELECT pg_promote(wait => false)").await?;
        until(&mut self.observer, "SELECT NOT pg_is_in_recovery()").await?;
        block_in_place(|| self.pooler.lead_to(self.standby.port()));
        Ok(())
    }
}

async fn until(observer: &mut PgConnection, question: &'static str) -> Result<()> {
    let since = Instant::now();
    while !sqlx::query_scalar::<_, bool>(question).fetch_one(&mut *observer).await? {
        ensure!(since.elapsed() < PATIENCE, "it does not become true: {question}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
