//! What requests are made of.

use reqwest::{Method, Url};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ApiError, ApiErrorKind};
use crate::secret::Secret;
use crate::sender_api::Call;

/// Each segment is escaped, so an id cannot lead elsewhere.
pub(super) fn push(url: &mut Url, segments: &[&str]) {
    // The client's URL has a path, which was checked when it was made.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
}

/// A call with this as its JSON.
pub(super) fn with_body<T: Serialize>(
    name: &'static str,
    method: Method,
    url: Url,
    body: &T,
) -> Result<Call, ApiError> {
    let body = serde_json::to_vec(body).map_err(|error| {
        ApiError::new(ApiErrorKind::Request, name, format!("cannot be written as JSON: {error}"))
    })?;
    Ok(Call { name, method, url, body: Some(Zeroizing::new(body)) })
}

/// A secret as JSON has it.
pub(super) fn text<'a>(name: &'static str, secret: &'a Secret) -> Result<&'a str, ApiError> {
    let refused = |what| ApiError::new(ApiErrorKind::Request, name, what);
    let text = std::str::from_utf8(&secret.bytes)
        .map_err(|_| refused("the secret is not UTF-8, expected text"))?;
    match text.chars().count() {
        0..=128 => Ok(text),
        _ => Err(refused("the secret is longer than 128 characters, expected at most 128")),
    }
}
