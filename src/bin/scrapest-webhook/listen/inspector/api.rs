//! The page and its API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::Semaphore;

use super::exchanges::{Entry, Exchanges};
use super::guard::{self, Guard};
use super::{detail, events, fixture};
use crate::curl;
use crate::listen::forward::Forward;
use crate::secret::SecretArgs;
use crate::sender::Sender;

const PAGE: &str = include_str!("page.html");

/// The maximum number of concurrent replays.
const REPLAYS: usize = 4;

/// The actions that the page offers.
#[derive(Debug)]
pub(in crate::listen) struct Service {
    pub(in crate::listen) sender: Sender,
    pub(in crate::listen) signature_headers: Vec<String>,
    pub(in crate::listen) secret: SecretArgs,
    /// The URL that the sender posts to, for the copied command.
    pub(in crate::listen) url: String,
    pub(in crate::listen) forward: Option<Arc<Forward>>,
}

#[derive(Clone, Debug)]
pub(super) struct Inspector {
    exchanges: Exchanges,
    service: Arc<Service>,
    pages: Arc<Semaphore>,
    replays: Arc<Semaphore>,
}

type Refusal = (StatusCode, &'static str);

impl Inspector {
    pub(super) fn new(exchanges: Exchanges, service: Service) -> Self {
        let [pages, replays] = [events::MOST, REPLAYS].map(|most| Arc::new(Semaphore::new(most)));
        Self { exchanges, service: Arc::new(service), pages, replays }
    }

    fn entry(&self, number: u64) -> Result<Arc<Entry>, Refusal> {
        let what = "this request is no longer kept";
        self.exchanges.get(number).ok_or((StatusCode::NOT_FOUND, what))
    }
}

pub(super) fn router(inspector: Inspector, guard: Guard) -> Router {
    let routes = Router::new()
        .route("/", get(page))
        .route("/events", get(feed))
        .route("/requests/{number}", get(details))
        .route("/requests/{number}/recording", get(recording))
        .route("/requests/{number}/test", get(test))
        .route("/requests/{number}/replay", post(replay))
        .route("/requests/{number}/curl", post(command))
        .with_state(inspector);
    // The guard calls these routes itself, after it has removed the token from the path.
    Router::new().fallback(|| async {}).layer(from_fn_with_state((guard, routes), guard::admit))
}

async fn page(State(inspector): State<Inspector>) -> Response {
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let html = PAGE
        .replace("{{nonce}}", &nonce)
        .replace("{{replays}}", if inspector.service.forward.is_some() { "yes" } else { "no" })
        .replace("{{sender}}", inspector.service.sender.name());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &policy),
    ];
    (headers, html).into_response()
}

async fn feed(State(inspector): State<Inspector>, headers: HeaderMap) -> Response {
    events::events(&inspector.exchanges, &inspector.pages, &headers)
}

async fn details(
    State(inspector): State<Inspector>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let entry = inspector.entry(number)?;
    let attempts = inspector.exchanges.attempts(&entry);
    let Service { sender, signature_headers, .. } = &*inspector.service;
    let detail = detail::detail(&entry, &attempts, *sender, signature_headers);
    Ok(([(header::CONTENT_TYPE, "application/json")], detail.to_string()).into_response())
}

/// Includes the signature, so that `verify` accepts it.
async fn recording(
    State(inspector): State<Inspector>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let entry = inspector.entry(number)?;
    let name = format!("{}.http", fixture::name(&entry));
    Ok(attached(&name, entry.exchange.recording.to_bytes()))
}

async fn test(
    State(inspector): State<Inspector>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let entry = inspector.entry(number)?;
    let text = fixture::test(&entry, inspector.service.sender);
    Ok(attached(&format!("{}.rs", fixture::name(&entry)), text.into_bytes()))
}

fn attached(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
    ];
    (headers, bytes).into_response()
}

/// Sends the same delivery to the service again, with the same key and a larger fence.
async fn replay(
    State(inspector): State<Inspector>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let Some(forward) = &inspector.service.forward else {
        return Err((
            StatusCode::CONFLICT,
            "there is no service to send it to: start with --forward",
        ));
    };
    let entry = inspector.entry(number)?;
    let (Some(run), Some(fence)) = (&entry.exchange.run, inspector.exchanges.next_fence(&entry))
    else {
        let what =
            "only a delivery that was accepted, or that the service refused, can be sent again";
        return Err((StatusCode::CONFLICT, what));
    };
    let Ok(_permit) = inspector.replays.try_acquire() else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "too many replays are running"));
    };
    let status = forward.replay(&run.delivery, &entry.exchange.recording, fence).await;
    let answer = json!({ "status": status, "fence": fence.to_string() });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}

/// Signs the request again, with the current secret.
async fn command(
    State(inspector): State<Inspector>,
    Path(number): Path<u64>,
) -> Result<String, Refusal> {
    let entry = inspector.entry(number)?;
    let Service { sender, secret, url, .. } = &*inspector.service;
    let secret = match secret.is_readable_again() {
        true => secret.read().ok().and_then(|secrets| secrets.into_iter().next()),
        false => None,
    };
    let what = "the secret cannot be read again, so nothing can be signed";
    let secret = secret.ok_or((StatusCode::CONFLICT, what))?;
    Ok(curl::command(url, &fixture::request(&entry, *sender, secret).sign()))
}
