//! A stand-in for ScrapeBadger's API. Its requests and answers are checked against the published document. Every
//! difference is collected, and fails the test at its end.

mod site;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use scrapest_webhook::testing;
use serde_json::{Value, json};

use self::site::Site;
pub use self::site::now;
use super::schema::Schema;

pub const KEY: &str = "sb_live_0123456789abcdef";

/// The behaviour of the stand-in at the next call, in place of its normal answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this status, and with `Retry-After` if there is one.
    Status(u16, Option<&'static str>),
    /// Answers 200 with this body, which fits no schema.
    Broken(Value),
    /// Does not answer as long as the client waits.
    Silence,
}

#[derive(Clone)]
pub struct Mock {
    pub url: String,
    pub site: Arc<Mutex<Site>>,
    schema: Arc<Mutex<Schema>>,
}

impl Mock {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mock = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            site: Arc::default(),
            schema: Arc::new(Mutex::new(Schema::published())),
        };
        let app = Router::new().fallback(answer).with_state(mock.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        mock
    }

    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }

    /// Asserts that every request and answer was as published.
    pub fn assert_as_published(&self) {
        assert_eq!(self.site().violations, [""; 0]);
    }

    pub fn calls(&self, beginning: &str) -> usize {
        self.site().calls.iter().filter(|call| call.starts_with(beginning)).count()
    }
}

async fn answer(
    State(mock): State<Mock>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap());
    let (method, path) = (parts.method.as_str().to_lowercase(), parts.uri.path().to_owned());
    let fault = {
        let mut site = mock.site();
        site.calls.push(format!("{} {}", parts.method, parts.uri));
        site.faults.pop_front()
    };
    match fault {
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Broken(body)) => return reply(200, &body),
        Some(Fault::Status(status, retry_after)) => {
            let mut response = reply(status, &json!({"detail": "as the test wants it"}));
            if let Some(value) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(value));
            }
            return response;
        }
        None => {}
    }
    if parts.headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return reply(401, &json!({"detail": "Invalid API key"}));
    }
    let posted = match path.ends_with("/webhooks/test") && mock.site().posts_tests {
        true => {
            Some(post_test(&mock, body.as_ref().unwrap()["monitor_id"].as_str().unwrap()).await)
        }
        false => None,
    };
    let mut schema = mock.schema.lock().unwrap();
    let mut site = mock.site();
    let Some(template) = schema.template(&path) else {
        site.violations.push(format!("{path} is not published"));
        return reply(404, &Value::Null);
    };
    if let Err(violation) = schema.check_request(&template, &method, &query, body.as_ref()) {
        site.violations.push(violation);
    }
    let segments: Vec<_> = path.split('/').collect();
    let operation = template.strip_prefix("/v1/twitter/stream/").unwrap_or("tweet");
    let (status, answer) =
        site.answer((&method, operation), &segments, &query, body.as_ref(), posted);
    if let Err(violation) = schema.check_answer(&template, &method, status, &answer) {
        site.violations.push(violation);
    }
    reply(status, &answer)
}

/// Posts the test event as the sender does, and returns the status of the answer.
async fn post_test(mock: &Mock, monitor: &str) -> u16 {
    let (url, secret) = {
        let site = mock.site();
        let hook = site.webhooks.iter().find(|hook| hook["monitor_id"] == monitor).unwrap();
        (hook["url"].as_str().unwrap().to_owned(), site.secrets[monitor].clone())
    };
    let request = testing::scrapebadger(secret.as_str()).with_kind("test").sign();
    let request = request.into_http::<Full<Bytes>>(&url);
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request).await.map_or(0, |response| response.status().as_u16())
}

fn reply(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    match body {
        Value::Null => (status, Body::empty()).into_response(),
        body => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            (status, json, body.to_string()).into_response()
        }
    }
}
