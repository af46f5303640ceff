//! The secrets of `listen`, which change with their files.

use std::time::Duration;

use scrapest_webhook::Secrets;
use tokio::time::sleep;

use crate::secret::SecretArgs;

/// A change is applied once two reads in a row agree, so that no partial content is used.
const EVERY: Duration = Duration::from_secs(1);

/// Polls the files until the process ends.
pub(super) async fn follow(args: SecretArgs, secrets: Secrets) {
    if !args.has_file() || !args.is_readable_again() {
        return;
    }
    let mut in_use = args.raw();
    let mut last = in_use.clone();
    loop {
        sleep(EVERY).await;
        // The files are read as at the start, but not if one has become a pipe or something else.
        let found = if args.is_readable_again() { args.raw() } else { Vec::new() };
        let is_settled = found == std::mem::replace(&mut last, found.clone());
        if !is_settled || found == in_use {
            continue;
        }
        let replaced = match args.is_readable_again() {
            true => args.read().and_then(|new| Ok(secrets.replace(new)?)),
            false => Err(anyhow::anyhow!("--secret-file: does not exist, or is not a file")),
        };
        match replaced {
            Ok(()) => tracing::info!("the secrets were replaced by those now in --secret-file"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the previous secrets stay in use")
            }
        }
        // Also after a failure, so that it is logged once.
        in_use = found;
    }
}
