//! One POST and its result.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Url};
use scrapest_webhook::testing::SignedRequest;

use crate::client;

#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    to: Url,
}

/// A request in the client's own types, which is cheap to repeat.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Debug)]
pub(super) enum Answer {
    Status(u16),
    Timeout,
    NoConnection(String),
    BrokenOff(String),
}

impl Client {
    pub(super) fn new(to: Url, timeout: Duration, ca_cert: Option<&Path>) -> Result<Self> {
        let mut builder = client::builder(&to).timeout(timeout);
        if let Some(path) = ca_cert {
            let flag = || format!("--ca-cert {}", path.display());
            let pem = std::fs::read(path).context("cannot be read").with_context(flag)?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .context("expected certificates in PEM")
                .with_context(flag)?;
            ensure!(
                !certificates.is_empty(),
                "{}: expected certificates in PEM, found none",
                flag()
            );
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { http: client::build("--to", builder)?, to })
    }

    pub(super) async fn post(&self, request: &Outgoing) -> Answer {
        let request = self
            .http
            .post(self.to.clone())
            .headers(request.headers.clone())
            .body(request.body.clone());
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                // The status counts, even if the rest of the response fails.
                client::drain(response).await;
                Answer::Status(status)
            }
            Err(error) if error.is_timeout() => Answer::Timeout,
            Err(error) if error.is_connect() => Answer::NoConnection(innermost(&error)),
            Err(error) => Answer::BrokenOff(innermost(&error)),
        }
    }
}

/// The innermost cause, which does not repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

impl TryFrom<SignedRequest> for Outgoing {
    type Error = anyhow::Error;

    fn try_from(signed: SignedRequest) -> Result<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in signed.headers() {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        Ok(Self { headers, body: signed.body().clone() })
    }
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        matches!(self, Self::Status(200..300))
    }

    /// The label under which the result is counted.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Timeout => "timeout".to_owned(),
            Self::NoConnection(cause) => format!("no connection: {cause}"),
            Self::BrokenOff(cause) => format!("broken off: {cause}"),
        }
    }
}
