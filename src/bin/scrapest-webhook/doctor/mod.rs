//! `doctor`: finds out from the sender's API and the receiver's store why no deliveries arrive.

mod findings;
mod seen;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use scrapest_webhook::scrapebadger::api::{Client, LogQuery, Monitor};
use time::{Duration, OffsetDateTime};

use self::findings::Findings;
use self::seen::Seen;
use crate::api::ApiArgs;
use crate::store::StoreArgs;
use crate::{client, output};
use scrapest_webhook::scrapebadger::ScrapeBadger;

const EXAMPLES: &str = "\
Example:
  scrapest-webhook doctor --api-key-env KEY --monitor mon-123 --url https://example.com/webhooks \\
    --store sqlite:deliveries.db

With the receiver's store, it also says how many tweets of the last day were handled here. It claims each unknown
tweet for a moment and releases it.

It prints one line per finding, `ok` or `PROBLEM`, and what to do about a problem.
Exit status: 0 when there is no problem, 1 when there is one, 2 on any error.";

/// A limit, because a busy monitor has too many entries per day to read all pages.
const MOST_PAGES: u32 = 10;
/// How far a timestamp may be from the receiver's clock: its future tolerance.
const CLOCK_TOLERANCE: i64 = 300;

/// Find out why no deliveries arrive: monitor, webhook, delivery log, clock
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    #[command(flatten)]
    api: ApiArgs,

    /// Only this monitor [default: every monitor of the account]
    #[arg(long, value_name = "ID")]
    monitor: Option<String>,

    /// The URL that the webhook should have
    #[arg(long)]
    url: Option<String>,

    #[command(flatten)]
    store: StoreArgs,
}

impl Doctor {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let api = self.api.client::<ScrapeBadger>()?;
        if let Some(url) = &self.url {
            client::url("--url", url)?;
        }
        let seen = Seen::of(&self.store)?;
        let monitors = match &self.monitor {
            Some(id) => vec![api.monitor(id).await?],
            None => all_monitors(&api).await?,
        };
        ensure!(!monitors.is_empty(), "the account has no monitor, expected at least one");
        let mut findings = Findings::default();
        clock(&api, &mut findings);
        if seen.is_none() {
            findings.ok(
                "store",
                "was not checked: give the receiver's --store to see what was handled",
            );
        }
        for monitor in &monitors {
            self.examine(&api, monitor, &mut findings).await?;
            if let Some(seen) = &seen {
                seen.compare(&api, &monitor.id, &mut findings).await?;
            }
        }
        output::print(findings.text())?;
        Ok(if findings.has_problem() { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    async fn examine(
        &self,
        api: &Client,
        monitor: &Monitor,
        findings: &mut Findings,
    ) -> Result<()> {
        let name = &monitor.id;
        match (&*monitor.status, monitor.status_reason.as_deref()) {
            ("active", _) => findings.ok(name, "is active"),
            (status, Some("insufficient_credits")) => findings.problem(
                name,
                format!("is {status:?}: the account is out of credits"),
                "add credits, then set the monitor to active; tweets of the time in between are not detected",
            ),
            (status, reason) => findings.problem(
                name,
                format!("is {status:?} ({:?})", reason.unwrap_or("no reason given")),
                "set the monitor to active at the sender",
            ),
        }
        let hooks = api.webhooks(Some(name)).await?;
        let url = hooks.first().map(|hook| &hook.url).or(monitor.webhook_url.as_ref());
        match (url, &self.url) {
            (None, _) => findings.problem(
                name,
                "has no webhook".to_owned(),
                "create it: scrapest-webhook webhook create",
            ),
            (Some(url), Some(expected)) if url != expected => findings.problem(
                name,
                format!("posts to {url:?}, expected {expected:?}"),
                "delete the webhook and create it with the right URL",
            ),
            (Some(url), _) => findings.ok(name, format!("posts to {url:?}")),
        }
        if url.is_some() {
            match monitor.webhook_secret_set || hooks.iter().any(|hook| hook.secret_set) {
                true => findings.ok(name, "signs its deliveries"),
                false => findings.problem(
                    name,
                    "does not sign its deliveries, so each is answered 401".to_owned(),
                    "delete the webhook and create it with a secret",
                ),
            }
        }
        self.log(api, name, findings).await
    }

    /// Checks the last day of the delivery log.
    async fn log(&self, api: &Client, monitor: &str, findings: &mut Findings) -> Result<()> {
        let since = OffsetDateTime::now_utc() - Duration::DAY;
        let query = LogQuery { monitor_id: Some(monitor.to_owned()), ..LogQuery::default() };
        let (mut all, mut failed, mut last_status) = (0, 0, None);
        let mut is_cut = true;
        for page in 1..=MOST_PAGES {
            let entries = api.log(&query, page).await?.logs;
            let count = entries.len();
            let recent: Vec<_> =
                entries.into_iter().filter(|log| log.detected_at >= since).collect();
            all += recent.len();
            for entry in &recent {
                if entry.delivery_status == "webhook_failed" {
                    failed += 1;
                    last_status = last_status.or(Some(entry.webhook_status_code));
                }
            }
            if recent.len() < count || count == 0 {
                is_cut = false;
                break;
            }
        }
        let of = if is_cut { format!("the last {all}") } else { format!("{all} of the last day") };
        if all == 0 {
            findings.ok(monitor, "has detected nothing in the last day");
        } else if failed == 0 {
            findings.ok(monitor, format!("has delivered {of}"));
        } else {
            findings.problem(
                monitor,
                format!("has failed to deliver {failed} tweets of {of}"),
                advice(last_status.flatten()),
            );
        }
        Ok(())
    }
}

/// Advice, by the receiver's response to the last failed delivery.
fn advice(status: Option<u16>) -> &'static str {
    match status {
        None => {
            "the sender got no answer: check that the URL can be reached from outside, then run reconcile"
        }
        Some(401) => {
            "the receiver answered 401: compare the secret and the clock, then run reconcile"
        }
        Some(403) => "the receiver answered 403: check the allow-list, then run reconcile",
        Some(404 | 405) => {
            "the receiver answered 404 or 405: check the URL's path, then run reconcile"
        }
        Some(413) => "the receiver answered 413: raise the body limit, then run reconcile",
        Some(_) => "see the receiver's log for the cause, then run reconcile",
    }
}

fn clock(api: &Client, findings: &mut Findings) {
    match api.clock_difference() {
        Some(seconds) if seconds.abs() > CLOCK_TOLERANCE => findings.problem(
            "clock",
            format!(
                "of this machine is {} s {}",
                seconds.abs(),
                if seconds > 0 { "slow" } else { "fast" }
            ),
            "synchronize the clock (NTP): fresh deliveries are refused as stale",
        ),
        Some(seconds) => {
            findings.ok("clock", format!("differs from the sender's by {} s", seconds.abs()))
        }
        None => findings.ok("clock", "was not compared: the sender's answers have no date"),
    }
}

async fn all_monitors(api: &Client) -> Result<Vec<Monitor>> {
    let mut monitors = Vec::new();
    for page in 1.. {
        let found = api.monitors(page).await?;
        let is_last = found.monitors.is_empty();
        monitors.extend(found.monitors);
        if is_last || monitors.len() as u64 >= found.total {
            break;
        }
    }
    Ok(monitors)
}
