//! Why an API call failed.

use std::error::Error;
use std::fmt;

use crate::escaped::Escaped;

/// The kinds of [`ApiError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiErrorKind {
    /// 401 or 403: the sender does not accept the API key.
    Key,
    /// 402: the account has no credits left.
    Credits,
    /// 404: the account has no such resource.
    NotFound,
    /// 409: the resource exists already.
    Conflict,
    /// 400 or 422: the sender does not accept the request.
    Request,
    /// 429, even after the last repetition.
    RateLimited,
    /// 5xx or no answer, even after the last repetition.
    Unavailable,
    /// The answer does not match the published schema.
    Schema,
    /// The budget of calls is used up.
    Budget,
}

/// A call to the sender's API failed. The text names the call and the status, and says what to do. Opaque; see
/// [`kind`](Self::kind).
#[derive(Debug)]
pub struct ApiError {
    pub(crate) kind: ApiErrorKind,
    pub(crate) call: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) what: String,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    pub(crate) fn new(kind: ApiErrorKind, call: &'static str, what: impl Into<String>) -> Self {
        Self { kind, call, status: None, what: what.into(), source: None }
    }

    /// Creates an error from the status of an answer. `detail` is the sender's explanation.
    pub(crate) fn of_status(call: &'static str, status: u16, detail: Option<&str>) -> Self {
        let (kind, what) = match status {
            401 | 403 => (
                ApiErrorKind::Key,
                "the API key is not accepted, expected a key of the account that owns the monitor",
            ),
            402 => (
                ApiErrorKind::Credits,
                "the account has no credits left: add some at the sender, then call again",
            ),
            404 => (
                ApiErrorKind::NotFound,
                "not found in this account: compare the id with the list of monitors",
            ),
            409 => (
                ApiErrorKind::Conflict,
                "the monitor already has a webhook, and can have only one: delete it first",
            ),
            429 => (
                ApiErrorKind::RateLimited,
                "too many calls, even after waiting: call less often, or later",
            ),
            500.. => (ApiErrorKind::Unavailable, "the sender's API fails: try again later"),
            300..=399 => (
                ApiErrorKind::Unavailable,
                "the address redirects, and a redirect is not followed with a key: expected the final URL",
            ),
            _ => (ApiErrorKind::Request, "the sender does not accept the request"),
        };
        let what = match detail {
            Some(detail) => format!("{what} (the sender says \"{}\")", Escaped(detail)),
            None => what.to_owned(),
        };
        Self { kind, call, status: Some(status), what, source: None }
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ApiErrorKind {
        self.kind
    }

    /// Returns the status of the sender's answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call)?;
        if let Some(status) = self.status {
            write!(f, ": status {status}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
