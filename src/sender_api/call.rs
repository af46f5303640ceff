//! One API call: its requests, the pauses between them, and the processing of the response.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::RngExt;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::{Api, ApiError, ApiErrorKind, Client};

/// Much more than a page of 100 entries needs.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;
/// A longer pause is up to the caller: a cron job, or a person.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An API request, which may be sent several times.
pub(crate) struct Call {
    /// The name of the call in errors.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// JSON, which may contain a secret.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

impl Call {
    pub(crate) fn get(name: &'static str, url: Url) -> Self {
        Self { name, method: Method::GET, url, body: None }
    }
}

/// The failure of one request, and whether it may be repeated.
struct Failed {
    error: ApiError,
    /// `None` if a repetition would give the same result, or would carry out the request twice.
    again: Option<Again>,
}

/// When to repeat the request.
enum Again {
    /// After the next pause.
    Later,
    /// After the time that the sender asks for.
    After(Duration),
}

impl<S: Api> Client<S> {
    /// Makes the call, and parses the response as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let name = call.name;
        let body = self.bytes(call).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            // The text of serde_json may quote a value, which may be a secret, so only the path is kept.
            let path = error.path().to_string();
            schema(name, &format!("field {path} {}", reason(error.inner())))
        })?;
        json.end().map_err(|_| schema(name, "something follows the JSON value"))?;
        Ok(read)
    }

    /// Makes the call, and returns the body of the response.
    pub(crate) async fn bytes(&self, call: Call) -> Result<Bytes, ApiError> {
        let mut pause = self.first_pause;
        for attempt in 1.. {
            self.spend(call.name)?;
            let failed = match timeout(self.timeout, self.once(&call)).await {
                Ok(Ok(body)) => return Ok(body),
                Ok(Err(failed)) => failed,
                Err(_) => {
                    let what = format!("no answer within {:?}", self.timeout);
                    let error = ApiError::new(ApiErrorKind::Unavailable, call.name, what);
                    Failed { error, again: is_safe(&call.method).then_some(Again::Later) }
                }
            };
            let Some(again) = failed.again.filter(|_| attempt < self.attempts) else {
                return Err(failed.error);
            };
            // Jitter, so that clients that failed together do not retry together.
            let jitter = rand::rng().random_range(0.75..1.25);
            let wait = match again {
                Again::Later => pause.mul_f64(jitter),
                Again::After(wait) if wait > LONGEST_PAUSE => return Err(failed.error),
                Again::After(wait) => wait,
            };
            tracing::debug!(error = %failed.error, ?wait, attempt, "asking the sender's API again");
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        unreachable!("the loop ends with its last attempt")
    }

    async fn once(&self, call: &Call) -> Result<Bytes, Failed> {
        let mut request = self
            .http
            .request(call.method.clone(), call.url.clone())
            .header(S::KEY_HEADER, self.key.header());
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.to_vec());
        }
        let broken = |error: reqwest::Error| {
            // A request whose connection was never made was not carried out.
            let again = (error.is_connect() || is_safe(&call.method)).then_some(Again::Later);
            let mut failed = ApiError::new(
                ApiErrorKind::Unavailable,
                call.name,
                "no answer: check the address and the network",
            );
            failed.source = Some(error.without_url().into());
            Failed { error: failed, again }
        };
        let response = request.send().await.map_err(broken)?;
        let status = response.status().as_u16();
        if let Some(at) = header(&response, DATE).and_then(http_date) {
            self.saw_date(at);
        }
        let asked_for = pause_asked_for(&response);
        let body = read(call.name, response).await.map_err(|error| match error {
            Broken::Connection(error) => broken(error),
            Broken::TooLong(error) => Failed { error, again: None },
        })?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let again = match status {
            // The request was refused, so it was not carried out.
            429 => Some(asked_for.map_or(Again::Later, Again::After)),
            500.. if is_safe(&call.method) => Some(asked_for.map_or(Again::Later, Again::After)),
            _ => None,
        };
        let detail = detail(&body);
        Err(Failed { error: ApiError::of_status(call.name, status, detail.as_deref()), again })
    }
}

enum Broken {
    Connection(reqwest::Error),
    TooLong(ApiError),
}

async fn read(call: &'static str, mut response: Response) -> Result<Bytes, Broken> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Broken::Connection)? {
        if chunk.len() > LONGEST_ANSWER - body.len() {
            let what = format!("is longer than {LONGEST_ANSWER} bytes");
            return Err(Broken::TooLong(schema(call, &what)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Whether carrying out a request twice has the same effect as carrying it out once.
fn is_safe(method: &Method) -> bool {
    // A PATCH sets the same values again, and a second DELETE finds nothing.
    *method != Method::POST
}

fn pause_asked_for(response: &Response) -> Option<Duration> {
    let value = header(response, RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(value)? - OffsetDateTime::now_utc();
    // A time in the past means no pause.
    Some(until.try_into().unwrap_or_default())
}

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    Some(response.headers().get(name)?.to_str().ok()?.trim())
}

/// Parses HTTP's date format, which is RFC 2822's with `GMT`.
fn http_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

pub(crate) fn schema(call: &'static str, what: &str) -> ApiError {
    let what = format!("the answer does not fit the published schema: {what}");
    ApiError::new(ApiErrorKind::Schema, call, what)
}

fn reason(error: &serde_json::Error) -> String {
    match error.to_string() {
        missing if missing.starts_with("missing field") => {
            format!("lacks one ({})", missing.split(" at line").next().unwrap_or_default())
        }
        _ if error.is_data() => "is of another type than published".to_owned(),
        _ => "is not JSON".to_owned(),
    }
}

/// The sender's explanation of a refusal: its `detail`, which is a text or a list of validation errors.
fn detail(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        detail: Detail,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Detail {
        Text(String),
        List(Vec<Invalid>),
    }
    #[derive(Deserialize)]
    struct Invalid {
        loc: Vec<serde_json::Value>,
        msg: String,
    }
    match serde_json::from_slice::<Refusal>(body).ok()?.detail {
        Detail::Text(text) => Some(text),
        Detail::List(list) => {
            let Invalid { loc, msg } = list.into_iter().next()?;
            let path: Vec<_> = loc
                .iter()
                .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
                .collect();
            Some(format!("{}: {msg}", path.join(".")))
        }
    }
}
