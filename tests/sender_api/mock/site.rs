//! The state of the stand-in: monitors, webhooks, tweets and their log. Answers each operation.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Fault;

#[derive(Default)]
pub struct Site {
    pub monitors: Vec<Value>,
    pub webhooks: Vec<Value>,
    /// The entries in the order of detection.
    pub log: Vec<Value>,
    pub tweets: HashMap<String, Value>,
    pub faults: VecDeque<Fault>,
    /// The method, and the path with its query, of every call.
    pub calls: Vec<String>,
    /// How many entries the log gains with each page that is read.
    pub growth: usize,
    /// The secret of each monitor's webhook.
    pub secrets: HashMap<String, String>,
    pub violations: Vec<String>,
    /// Whether a test event is really posted to the webhook's URL.
    pub posts_tests: bool,
    /// The status that refuses a change of a monitor, if any.
    pub refuse_changes: Option<u16>,
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

    /// Adds a tweet that was detected `ago` seconds ago, with its entry in the log.
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

    pub fn answer(
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
