//! Decides which browsers may see the page: only a browser on this machine that was given the URL. A page of
//! another origin can neither read anything (it does not know the token, and the browser keeps answers from it)
//! nor send anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

#[derive(Clone, Debug)]
pub(super) struct Guard {
    port: u16,
    token: Arc<str>,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, token: String) -> Self {
        Self { port: address.port(), token: token.into() }
    }

    /// Removes the token from the request, or returns why it is refused.
    fn admit(&self, request: &mut Request) -> Result<(), (StatusCode, &'static str)> {
        let headers = request.headers();
        let host = one(headers, &header::HOST).filter(|host| self.is_ours(host));
        let Some(host) = host else {
            return Err((StatusCode::MISDIRECTED_REQUEST, "expected the address as Host\n"));
        };
        // Checked before the token, so that no other page can guess tokens.
        let origin = format!("http://{host}");
        let is_same = |name| headers.get(name).is_none_or(|value| *value == *origin);
        let is_foreign = !is_same(header::ORIGIN)
            || (*request.method() != Method::GET && !headers.contains_key(header::ORIGIN));
        if is_foreign {
            return Err((StatusCode::FORBIDDEN, "expected a request from the page itself\n"));
        }
        let path = request.uri().path();
        let rest = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let given =
            rest.filter(|(token, _)| bool::from(token.as_bytes().ct_eq(self.token.as_bytes())));
        let Some((_, rest)) = given else {
            let what = "expected the URL that `listen` has printed, with its token\n";
            return Err((StatusCode::NOT_FOUND, what));
        };
        // A link to the page may be on any site, for example a terminal in the browser. All other requests come
        // from the page itself.
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !rest.is_empty() && !matches!(site, None | Some(b"same-origin" | b"none")) {
            return Err((StatusCode::FORBIDDEN, "expected a request from the page itself\n"));
        }
        let uri = format!("/{rest}").parse::<Uri>();
        *request.uri_mut() = uri.map_err(|_| (StatusCode::NOT_FOUND, "not found\n"))?;
        Ok(())
    }

    /// Anyone can make a name resolve to this address (DNS rebinding), so only addresses are accepted.
    fn is_ours(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else { return false };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let is_address = name == "localhost" || bare.parse::<IpAddr>().is_ok();
        is_address && port == self.port.to_string()
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Wraps all routes, and runs before they are matched.
pub(super) async fn admit(
    State((guard, mut next)): State<(Guard, axum::Router)>,
    mut request: Request,
    _: Next,
) -> Response {
    let mut response = match guard.admit(&mut request) {
        Ok(()) => match tower_service::Service::call(&mut next, request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Err(refusal) => refusal.into_response(),
    };
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The page sets its own policy.
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}
