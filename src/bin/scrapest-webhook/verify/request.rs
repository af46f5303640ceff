//! The request to verify: from a recording, or from a body and headers.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use crate::input::Input;
use crate::recording::Recording;

/// A request as it was received.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    method: Method,
    target: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether the body was not read to its end when it was recorded.
    pub(super) is_cut: bool,
    /// The response to the request when it was recorded.
    pub(super) answer: Option<String>,
}

impl Received {
    /// Reads the request, and the time at which it was received, if that was recorded.
    pub(super) fn read(file: &Path, headers: &[String]) -> Result<(Self, Option<SystemTime>)> {
        let mut recorded_at = None;
        let flag = || format!("--file {}", file.display());
        let mut received = match Input::read(file)? {
            Input::Body(body) => {
                Self { method: Method::POST, body: body.into(), ..Self::default() }
            }
            Input::Recording(recording) => {
                recorded_at = recording.received.map(SystemTime::from);
                Self::recorded(recording).with_context(flag)?
            }
        };
        let given = given(headers)?;
        for name in given.keys() {
            received.headers.remove(name);
        }
        received.headers.extend(given);
        Ok((received, recorded_at))
    }

    pub(super) fn recorded(recording: Recording) -> Result<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in &recording.headers {
            headers
                .append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value)?);
        }
        Ok(Self {
            method: recording.method.parse()?,
            target: recording.target.parse()?,
            headers,
            body: recording.body.into(),
            is_cut: !recording.is_whole,
            answer: recording.answer,
        })
    }

    pub(super) fn to_http(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// The headers of `--header`. Repeated names are kept.
fn given(headers: &[String]) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for given in headers {
        let Some(path) = given.strip_prefix('@') else {
            append(&mut map, given).context("--header")?;
            continue;
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--header @{path}: the file cannot be read"))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            append(&mut map, line).with_context(|| format!("--header @{path}"))?;
        }
    }
    Ok(map)
}

fn append(map: &mut HeaderMap, line: &str) -> Result<()> {
    let header = line.split_once(':').and_then(|(name, value)| {
        let name = name.trim().parse::<HeaderName>().ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    });
    // Does not quote the line, which may contain escape sequences for the terminal.
    let (name, value) = header.ok_or_else(|| anyhow!("expected headers as `name: value`"))?;
    map.append(name, value);
    Ok(())
}
