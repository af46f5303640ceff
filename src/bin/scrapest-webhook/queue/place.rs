//! The flags that select a queue.

use anyhow::{Context, Result};
use scrapest_webhook::queue::Queue;

use crate::flag;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct QueueArgs {
    /// The queue: `sqlite:FILE` or `postgres://…`
    ///
    /// A URL with a password belongs in --queue-env.
    #[arg(long, value_name = "URL")]
    queue: Option<String>,

    /// The environment variable that contains the URL of the queue, if it has a password
    #[arg(long, value_name = "NAME")]
    queue_env: Option<String>,
}

impl QueueArgs {
    /// Opens the queue, even if its database does not answer.
    pub(crate) async fn open(&self) -> Result<Queue> {
        open(self.queue.as_deref(), self.queue_env.as_deref()).await?.context(
            "--queue: expected a URL like sqlite:queue.db or postgres://user@host/database",
        )
    }

    /// Opens the queue if its database answers.
    pub(crate) async fn open_ready(&self) -> Result<Queue> {
        let queue = self.open().await?;
        queue.ready().await.context("--queue")?;
        Ok(queue)
    }
}

/// Opens the queue of the flags `--queue` and `--queue-env`, if one is given.
pub(crate) async fn open(url: Option<&str>, name: Option<&str>) -> Result<Option<Queue>> {
    let (flag, url) = match (url, name) {
        (Some(url), _) => {
            flag::without_password("--queue", url)?;
            ("--queue".to_owned(), url.to_owned())
        }
        (None, Some(name)) => flag::variable("--queue-env", name, "the URL of a queue")?,
        (None, None) => return Ok(None),
    };
    Queue::open(&url).await.map(Some).map_err(|error| flag::of(&flag, &error))
}
