//! Helpers that build requests.

use reqwest::{Method, Url};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ApiError, ApiErrorKind};
use crate::secret::Secret;
use crate::sender_api::Call;

/// Appends path segments. Each segment is escaped, so an id cannot change the path.
pub(super) fn push(url: &mut Url, segments: &[&str]) {
    // The client's URL has a path, which was checked when the client was created.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
}

/// Creates a call with this value as its JSON body.
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

/// A secret as a JSON string.
pub(super) fn text<'a>(name: &'static str, secret: &'a Secret) -> Result<&'a str, ApiError> {
    let refused = |what| ApiError::new(ApiErrorKind::Request, name, what);
    let text = std::str::from_utf8(&secret.bytes)
        .map_err(|_| refused("the secret is not UTF-8, expected text"))?;
    match text.chars().count() {
        0..=128 => Ok(text),
        _ => Err(refused("the secret is longer than 128 characters, expected at most 128")),
    }
}
