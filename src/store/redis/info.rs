//! Asks the server whether it may evict records, and whether it is standalone.

use std::borrow::Cow;

use ::redis::Value;
use ::redis::aio::ConnectionLike;

/// Returns whether the server is standalone, so that a script may use any of its keys. A cluster is not, and a server
/// that does not say so (a sharding proxy, for example) may not be. Warns of an unsafe `maxmemory-policy` if the server
/// `is_new`. Uses `INFO`, which hosted servers allow even if they forbid `CONFIG GET`.
pub(super) async fn look(mut connection: Box<dyn ConnectionLike + Send>, is_new: bool) -> bool {
    let answer = match connection.req_packed_command(&::redis::cmd("INFO")).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(%error, "redis did not answer INFO");
            return false;
        }
    };
    match policy(&answer).as_deref() {
        Some("noeviction") => {}
        Some(policy) if is_new => tracing::warn!(
            policy,
            "redis may evict deliveries when it is full, so a delivery could run twice: \
             set maxmemory-policy to noeviction"
        ),
        Some(_) => {}
        None => tracing::debug!("redis does not report its maxmemory-policy"),
    }
    stands_alone(&answer)
}

/// Reads the mode. A cluster answers with one text per node, or with the text of one node.
fn stands_alone(answer: &Value) -> bool {
    text(answer).is_some_and(|text| field(&text, "redis_mode:").as_deref() == Some("standalone"))
}

/// Reads the policy. A cluster answers with one text per node; the first policy that evicts records counts.
fn policy(answer: &Value) -> Option<String> {
    let policies = match answer {
        Value::Array(values) => values.iter().filter_map(policy).collect::<Vec<_>>(),
        Value::Map(pairs) => pairs.iter().filter_map(|(_, value)| policy(value)).collect(),
        one => return field(&text(one)?, "maxmemory_policy:"),
    };
    let forgetful = policies.iter().find(|policy| *policy != "noeviction");
    forgetful.or(policies.first()).cloned()
}

fn text(answer: &Value) -> Option<Cow<'_, str>> {
    match answer {
        Value::BulkString(text) => Some(String::from_utf8_lossy(text)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into()),
        _ => None,
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Value, policy, stands_alone};

    fn node(policy: &str) -> Value {
        let text = format!(
            "# Server\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n"
        );
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn the_eviction_policy_of_a_single_server_is_found() {
        assert_eq!(policy(&node("allkeys-lru")).as_deref(), Some("allkeys-lru"));
        assert_eq!(policy(&Value::Nil), None);
    }

    #[test]
    fn an_evicting_node_decides_the_policy_of_a_cluster() {
        let nodes = ["noeviction", "volatile-ttl", "noeviction"];
        let answer = Value::Map(nodes.map(|policy| (Value::Nil, node(policy))).into());
        assert_eq!(policy(&answer).as_deref(), Some("volatile-ttl"));
    }

    #[test]
    fn only_a_server_that_reports_standalone_mode_is_standalone() {
        assert!(stands_alone(&node("noeviction")));
        let several = Value::Array(vec![node("noeviction"), node("noeviction")]);
        let cluster = Value::BulkString(b"# Server\r\nredis_mode:cluster\r\n".into());
        let silent = Value::BulkString(b"# Memory\r\nmaxmemory:0\r\n".into());
        for other in [several, cluster, silent, Value::Nil, Value::Okay] {
            assert!(!stands_alone(&other), "{other:?}");
        }
    }
}
