//! A stand-in for ScrapeBadger's API. What it answers and what it is asked is held against the published
//! document: a difference is kept, and fails the test at its end.

use std::collections::{HashMap, VecDeque};
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
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::schema::Schema;

pub const KEY: &str = "sb_live_0123456789abcdef";

/// What the next call is answered instead.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, and `Retry-After` if there is one.
    Status(u16, Option<&'static str>),
    /// 200 with this body, which no schema knows.
    Broken(Value),
    /// Nothing, for as long as the client waits.
    Silence,
}

#[derive(Default)]
pub struct Site {
    pub monitors: Vec<Value>,
    pub webhooks: Vec<Value>,
    /// In the order of detection.
    pub log: Vec<Value>,
    pub tweets: HashMap<String, Value>,
    pub faults: VecDeque<Fault>,
    /// Method and path with query, of every call.
    pub calls: Vec<String>,
    /// How many entries the log gets with each page that is read.
    pub growth: usize,
    /// The secret of each monitor's webhook.
    pub secrets: HashMap<String, String>,
    pub violations: Vec<String>,
    /// A test event is really posted to the webhook's URL.
    pub posts_tests: bool,
    /// What a change of a monitor is answered instead.
    pub refuse_changes: Option<u16>,
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

    /// Nothing was asked or answered that is not published.
    pub fn assert_as_published(&self) {
        assert_eq!(self.site().violations, [""; 0]);
    }

    pub fn calls(&self, beginning: &str) -> usize {
        self.site().calls.iter().filter(|call| call.starts_with(beginning)).count()
    }
}

impl Site {
    pub fn add_monitor(&mut self, id: &str, status: &str, reason: Option<&str>) {
        let now = now(0);
        self.monitors.push(json!({
            "id": id, "name": format!("monitor {id}"), "usernames": ["someone"], "status": status,
            "status_reason": reason, "webhook_url": null, "webhook_secret_set": false,
            "filter_types": null, "credits_per_account_per_day": 1.5,
            "estimated_credits_per_day": 1.5, "pricing_tier": "standard", "created_at": now,
            "updated_at": now,
        }));
    }

    /// A tweet that was detected so many seconds ago, with its entry in the log.
    pub fn add_tweet(&mut self, monitor: &str, id: &str, ago: i64, status: &str) {
        let at = now(-ago);
        let code = match status {
            "webhook_delivered" => json!(200),
            "webhook_failed" => json!(503),
            _ => Value::Null,
        };
        self.log.push(json!({
            "id": format!("log-{id}"), "monitor_id": monitor, "monitor_name": "monitor",
            "tweet_id": id, "author_username": "someone", "tweet_text_preview": "text",
            "tweet_url": format!("https://x.com/someone/status/{id}"), "tweet_published_at": at,
            "detected_at": at, "latency_ms": 850, "latency_badge": "fast", "delivery_status": status,
            "webhook_status_code": code, "webhook_attempts": 4,
        }));
        self.tweets.insert(
            id.to_owned(),
            json!({"id": id, "text": format!("text of {id}"), "username": "someone", "media": []}),
        );
    }

    fn answer(
        &mut self,
        operation: (&str, &str),
        path: &[&str],
        query: &HashMap<String, String>,
        body: Option<&Value>,
        posted: Option<u16>,
    ) -> (u16, Value) {
        let not_found = (404, json!({"detail": "Not found"}));
        let id = *path.last().unwrap();
        match operation {
            ("get", "webhooks") => {
                let wanted = |hook: &&Value| {
                    query.get("monitor_id").is_none_or(|id| hook["monitor_id"] == **id)
                };
                let hooks: Vec<_> = self.webhooks.iter().filter(wanted).cloned().collect();
                (200, json!({"total": hooks.len(), "webhooks": hooks}))
            }
            ("post", "webhooks") => self.create_webhook(body.unwrap()),
            ("post", "webhooks/test") => {
                let monitor = body.unwrap()["monitor_id"].as_str().unwrap();
                if !self.webhooks.iter().any(|hook| hook["monitor_id"] == monitor) {
                    return not_found;
                }
                let status = posted.unwrap_or(204);
                let success = (200..300).contains(&status);
                (200, json!({"success": success, "status_code": status, "response_time_ms": 12.5}))
            }
            ("delete", "webhooks/{webhook_id}") => {
                let before = self.webhooks.len();
                self.webhooks.retain(|hook| hook["monitor_id"] != id);
                if self.webhooks.len() < before { (204, Value::Null) } else { not_found }
            }
            ("get", "logs") => self.page(query),
            ("get", "monitors") => {
                let monitors = &self.monitors;
                let total = monitors.len();
                (200, json!({"monitors": monitors, "total": total, "page": 1, "page_size": 100}))
            }
            ("get", "monitors/{monitor_id}") => {
                match self.monitors.iter().find(|monitor| monitor["id"] == id) {
                    Some(monitor) => (200, monitor.clone()),
                    None => not_found,
                }
            }
            ("patch", "monitors/{monitor_id}") => {
                let Some(monitor) = self.monitors.iter_mut().find(|monitor| monitor["id"] == id)
                else {
                    return not_found;
                };
                if let Some(status) = self.refuse_changes {
                    return (status, json!({"detail": []}));
                }
                let change = body.unwrap().as_object().unwrap();
                for (name, value) in change {
                    match name.as_str() {
                        "webhook_secret" => {
                            monitor["webhook_secret_set"] = json!(true);
                            self.secrets.insert(id.to_owned(), value.as_str().unwrap().to_owned());
                        }
                        _ => monitor[name] = value.clone(),
                    }
                }
                (200, monitor.clone())
            }
            ("get", "tweet") => match self.tweets.get(id) {
                Some(tweet) => (200, tweet.clone()),
                None => not_found,
            },
            other => panic!("the stand-in does not know {other:?}"),
        }
    }

    fn create_webhook(&mut self, body: &Value) -> (u16, Value) {
        let monitor = body["monitor_id"].as_str().unwrap().to_owned();
        if self.webhooks.iter().any(|hook| hook["monitor_id"] == *monitor) {
            return (409, json!({"detail": "Monitor already has a webhook"}));
        }
        let secret = body["secret"].as_str().unwrap_or("whsec_made_by_the_sender_0001").to_owned();
        let (id, at) = (format!("wh-{monitor}"), now(0));
        self.webhooks.push(json!({
            "id": id, "monitor_id": monitor, "monitor_name": "monitor", "url": body["url"],
            "secret_set": true, "created_at": at,
        }));
        self.secrets.insert(monitor.clone(), secret.clone());
        if let Some(found) = self.monitors.iter_mut().find(|found| found["id"] == *monitor) {
            found["webhook_url"] = body["url"].clone();
            found["webhook_secret_set"] = json!(true);
        }
        let answer = json!({
            "id": id, "monitor_id": monitor, "url": body["url"], "secret": secret, "created_at": at,
        });
        (201, answer)
    }

    fn page(&mut self, query: &HashMap<String, String>) -> (u16, Value) {
        let number = |name: &str, default: usize| {
            query.get(name).map_or(default, |value| value.parse().unwrap())
        };
        let (page, size) = (number("page", 1), number("page_size", 20));
        let of = |name: &str, field: &str, entry: &Value| {
            query.get(name).is_none_or(|wanted| entry[field] == **wanted)
        };
        let mut log: Vec<_> = self
            .log
            .iter()
            .filter(|entry| {
                of("monitor_id", "monitor_id", entry)
                    && of("delivery_status", "delivery_status", entry)
                    && of("author_username", "author_username", entry)
            })
            .collect();
        if query.get("sort").is_none_or(|sort| sort == "desc") {
            log.reverse();
        }
        let total = log.len();
        let logs: Vec<_> = log.into_iter().skip((page - 1) * size).take(size).cloned().collect();
        for _ in 0..self.growth {
            let (monitor, id) = ("mon-1", format!("9{:018}", self.log.len()));
            self.add_tweet(monitor, &id, 0, "webhook_delivered");
        }
        (200, json!({"logs": logs, "total": total, "page": page, "page_size": size}))
    }
}

pub fn now(offset: i64) -> String {
    (OffsetDateTime::now_utc() + Duration::seconds(offset)).format(&Rfc3339).unwrap()
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

/// The test event as the sender posts it, and the status that it gets.
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
