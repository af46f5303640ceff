//! Posts a job to a service, whose response is the outcome of the run.

use std::time::Duration;

use anyhow::Result;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use scrapest_webhook::queue::{Job, JobError};
use time::format_description::well_known::Rfc3339;

use crate::client;
use crate::listen::{forward, passed_on};

pub(super) struct Service {
    client: Client,
    url: Url,
    timeout: Duration,
}

impl Service {
    pub(super) fn new(flag: &str, url: &str, timeout: Duration) -> Result<Self> {
        let url = client::url(flag, url)?;
        Ok(Self { client: forward::client(flag, &url)?, url, timeout })
    }

    pub(super) async fn post(&self, job: &Job) -> Result<(), JobError> {
        let timestamp = job.timestamp().and_then(|time| time.format(&Rfc3339).ok());
        let mut headers = forward::headers([
            ("webhook-delivery-id", job.delivery_id().map(str::to_owned)),
            ("webhook-event", job.kind().map(str::to_owned)),
            ("webhook-attempt", Some(job.attempt().to_string())),
            ("webhook-timestamp", timestamp),
            ("webhook-fence", Some(job.fence().to_string())),
            ("idempotency-key", Some(job.key().to_string())),
            // Lets the service distinguish jobs that were never signed.
            ("webhook-origin", job.is_reconciled().then(|| "reconciled".to_owned())),
            ("traceparent", job.traceparent().map(str::to_owned)),
            ("tracestate", job.tracestate().map(str::to_owned)),
        ]);
        let kind = passed_on::content_type(job.content_type().map(str::as_bytes).into_iter());
        headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        let request = self.client.post(self.url.clone()).headers(headers);
        let request = request.timeout(self.timeout).body(job.body().clone());
        // Without the URL, which may contain a password.
        let response = request.send().await.map_err(|error| {
            JobError::new(anyhow::Error::from(error.without_url()).context("no answer"))
        })?;
        let status = response.status();
        tokio::spawn(client::drain(response));
        match status.is_success() {
            true => Ok(()),
            false => Err(JobError::new(format!("the service answered {}", status.as_u16()))),
        }
    }
}
