//! `--forward`: posts an accepted delivery to a service, whose response determines the response to the sender.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, Url};
use scrapest_webhook::Delivery;
use scrapest_webhook::store::Fence;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::passed_on;
use super::settings::Limits;
use crate::recording::Recording;
use crate::{client, flag, moment};

/// A service may close an idle connection at any time, and a POST sent at that moment is lost. The servers with
/// the shortest timeout wait two seconds.
const IDLE: Duration = Duration::from_secs(1);

/// An id may come from the body and be as long as the body. Servers allow about 8 KiB for all headers.
pub(super) const LONGEST_HEADER: usize = 1_024;

/// One that a misbehaving upstream may block, and one for the others.
const THREADS: usize = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct ForwardArgs {
    /// Post each accepted delivery to this URL: a 2xx completes it, any other status is passed on to the sender,
    /// which retries
    ///
    /// Body and content type are unchanged. These headers are added: Webhook-Delivery-Id, Webhook-Event,
    /// Webhook-Attempt, Webhook-Timestamp, Webhook-Fence and Idempotency-Key. A header is left out if the delivery
    /// has no value for it, or if the value is not valid in a header. The sender gets the status of the service,
    /// or 502 if it did not answer, or 504 if it did not answer in time. Redirects are not followed, and proxies
    /// in the environment are ignored.
    #[arg(long, value_name = "URL", conflicts_with = "forward_env")]
    forward: Option<String>,

    /// The environment variable that contains the URL, if it has a password
    #[arg(long, value_name = "NAME")]
    forward_env: Option<String>,

    /// How long to wait for the response to a forwarded delivery [default: nine tenths of --answer-within]
    ///
    /// Set a longer time, up to --run-limit, for a service that needs more than --answer-within. The sender then
    /// gets 503 in time, the POST continues, and the retry gets its result.
    #[arg(long, value_name = "DURATION", value_parser = moment::span)]
    forward_timeout: Option<Duration>,
}

impl ForwardArgs {
    pub(crate) fn forward(&self, limits: Limits) -> Result<Option<Forward>> {
        // A URL may contain a password, so it is never repeated.
        let (flag, url) = match (&self.forward, &self.forward_env) {
            (Some(url), _) => {
                flag::without_password("--forward", url)?;
                ("--forward".to_owned(), url.clone())
            }
            (None, Some(name)) => flag::variable("--forward-env", name, "the URL to forward to")?,
            (None, None) => {
                let alone = self.forward_timeout.is_some();
                ensure!(!alone, "--forward-timeout: needs --forward");
                return Ok(None);
            }
        };
        let url = client::url(&flag, &url)?;
        let client = client(&flag, &url)?;
        let timeout = self.timeout(limits)?;
        Ok(Some(Forward { client, url, timeout, threads: threads()? }))
    }

    fn timeout(&self, limits: Limits) -> Result<Duration> {
        let Some(timeout) = self.forward_timeout else {
            // So that the sender receives the error of a hanging service before the answer deadline.
            return Ok(limits.answer_within.min(limits.run_limit) * 9 / 10);
        };
        ensure!(!timeout.is_zero(), "--forward-timeout: is 0, expected more than 0");
        ensure!(
            timeout <= limits.run_limit,
            "--forward-timeout: is {timeout:?}, expected at most --run-limit, which is {:?}",
            limits.run_limit
        );
        Ok(timeout)
    }
}

/// Starts threads that run until the process ends.
fn threads() -> Result<Handle> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("forward")
        .enable_all()
        .build()
        .context("--forward: cannot start its threads")?;
    let handle = runtime.handle().clone();
    // Dropping it would wait for its threads.
    std::mem::forget(runtime);
    Ok(handle)
}

/// Creates a client for a service at this URL, the value of `flag`.
pub(crate) fn client(flag: &str, url: &Url) -> Result<Client> {
    let builder = client::builder(url)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("scrapest-webhook/", env!("CARGO_PKG_VERSION")));
    client::build(flag, builder)
}

/// A service that deliveries are forwarded to.
pub(crate) struct Forward {
    client: Client,
    url: Url,
    timeout: Duration,
    threads: Handle,
}

/// The response to the sender.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    retry_after: Option<HeaderValue>,
}

impl Forward {
    /// Posts a rebuilt delivery, which has no request that gives its content type.
    pub(crate) async fn post_reconciled(&self, delivery: &Delivery) -> Answer {
        let json = HeaderValue::from_static("application/json");
        self.post(delivery, &HeaderMap::from_iter([(CONTENT_TYPE, json)])).await
    }

    /// Posts a delivery again on a user's request, with a larger fence. Returns the status of the response.
    pub(super) async fn replay(
        &self,
        delivery: &Delivery,
        recording: &Recording,
        fence: Fence,
    ) -> u16 {
        let kinds = recording.headers.iter().filter(|(name, _)| name == CONTENT_TYPE.as_str());
        let kind = passed_on::content_type(kinds.map(|(_, value)| &value[..]));
        let mut headers = described(delivery);
        headers.insert("webhook-fence", HeaderValue::from(fence.get()));
        headers.insert("webhook-origin", HeaderValue::from_static("replayed"));
        headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        self.send(delivery, headers).await.status()
    }

    pub(crate) async fn post(&self, delivery: &Delivery, received: &HeaderMap) -> Answer {
        let mut headers = described(delivery);
        // Only these headers are passed on, so that the sender's signature and other credentials are not.
        let kinds = received.get_all(CONTENT_TYPE).iter();
        headers.extend(
            passed_on::content_type(kinds.map(HeaderValue::as_bytes))
                .map(|kind| (CONTENT_TYPE, kind)),
        );
        self.send(delivery, headers).await
    }

    async fn send(&self, delivery: &Delivery, headers: HeaderMap) -> Answer {
        let request = self.client.post(self.url.clone()).headers(headers);
        let request = request.timeout(self.timeout).body(delivery.body().clone());
        // On separate threads: an upstream that answers without end (100 Continue, again and again) blocks a
        // thread, and other requests must not wait for it.
        let mut sending = JoinSet::new();
        sending.spawn_on(request.send(), &self.threads);
        let sent = match tokio::time::timeout(self.timeout, sending.join_next()).await {
            Ok(Some(Ok(sent))) => sent,
            Ok(_) => return StatusCode::BAD_GATEWAY.into(),
            Err(_) => {
                tracing::warn!(
                    status = 504,
                    "the service did not answer in time, so the sender has to retry"
                );
                return StatusCode::GATEWAY_TIMEOUT.into();
            }
        };
        match sent {
            Ok(response) => answered(response),
            Err(error) => {
                let status = match error.is_timeout() {
                    true => StatusCode::GATEWAY_TIMEOUT,
                    false => StatusCode::BAD_GATEWAY,
                };
                let error = anyhow::Error::from(error.without_url());
                tracing::warn!(
                    status = status.as_u16(),
                    error = format!("{error:#}"),
                    "forwarding failed, so the sender has to retry"
                );
                status.into()
            }
        }
    }
}

fn answered(response: reqwest::Response) -> Answer {
    let status = match response.status() {
        // No other protocol was requested.
        status if status.is_informational() => StatusCode::BAD_GATEWAY,
        status => status,
    };
    if !status.is_success() {
        tracing::warn!(status = status.as_u16(), "the service refused the delivery");
    }
    let retry_after = passed_on::retry_after(response.headers());
    tokio::spawn(client::drain(response));
    Answer { status, retry_after }
}

/// Headers with the layer's results, for a service that does not know the sender's format.
fn described(delivery: &Delivery) -> HeaderMap {
    let timestamp = delivery.timestamp().and_then(|time| time.format(&Rfc3339).ok());
    headers([
        ("webhook-delivery-id", delivery.id().map(str::to_owned)),
        ("webhook-event", delivery.kind().map(str::to_owned)),
        ("webhook-attempt", Some(delivery.attempt().to_string())),
        ("webhook-timestamp", timestamp),
        ("webhook-fence", Some(delivery.fence().to_string())),
        ("idempotency-key", Some(delivery.key().to_string())),
        // Lets the service distinguish deliveries that were never signed.
        ("webhook-origin", delivery.is_reconciled().then(|| "reconciled".to_owned())),
    ])
}

/// Builds the headers that have a text which is valid in a header.
pub(crate) fn headers<const N: usize>(texts: [(&'static str, Option<String>); N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, text) in texts {
        let Some(text) = text else { continue };
        match HeaderValue::from_str(&text) {
            Ok(value) if text.len() <= LONGEST_HEADER => {
                headers.insert(HeaderName::from_static(name), value);
            }
            _ => {
                tracing::warn!(
                    name,
                    "header left out of the forwarded request: no header can carry its value"
                )
            }
        }
    }
    headers
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }
}

impl From<StatusCode> for Answer {
    fn from(status: StatusCode) -> Self {
        Self { status, retry_after: None }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(value) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ForwardArgs, Limits};

    #[test]
    fn a_hanging_upstream_is_given_up_before_the_answer_deadline() {
        let args = ForwardArgs { forward: None, forward_env: None, forward_timeout: None };
        for (answer_within, run_limit, expected) in [(4, 60, 3_600), (60, 10, 9_000)] {
            let [answer_within, run_limit] = [answer_within, run_limit].map(Duration::from_secs);
            let timeout = args.timeout(Limits { answer_within, run_limit }).unwrap();
            assert_eq!(timeout, Duration::from_millis(expected));
        }
    }
}
