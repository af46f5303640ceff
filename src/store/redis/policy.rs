//! Whether the server may forget what it acknowledged.

use ::redis::Value;
use ::redis::aio::ConnectionLike;

/// Says once what the server's `maxmemory-policy` means. By `INFO`, which hosted servers allow where
/// they forbid `CONFIG GET`.
pub(super) async fn look(mut connection: Box<dyn ConnectionLike + Send>) {
    let mut command = ::redis::cmd("INFO");
    command.arg("memory");
    let policy = match connection.req_packed_command(&command).await {
        Ok(answer) => find(&answer),
        Err(error) => {
            return tracing::debug!(%error, "redis does not say its maxmemory-policy");
        }
    };
    match policy.as_deref() {
        Some("noeviction") => {}
        Some(policy) => tracing::warn!(
            policy,
            "redis may forget deliveries when it is full, so that a delivery could run twice; \
             set maxmemory-policy to noeviction"
        ),
        None => tracing::debug!("redis does not say its maxmemory-policy"),
    }
}

/// A cluster answers with one text a node; the first policy that may forget counts.
fn find(answer: &Value) -> Option<String> {
    let policies = match answer {
        Value::BulkString(text) => return of_text(&String::from_utf8_lossy(text)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => return of_text(text),
        Value::Array(values) => values.iter().filter_map(find).collect::<Vec<_>>(),
        Value::Map(pairs) => pairs.iter().filter_map(|(_, value)| find(value)).collect(),
        _ => return None,
    };
    let forgetful = policies.iter().find(|policy| *policy != "noeviction");
    forgetful.or(policies.first()).cloned()
}

fn of_text(text: &str) -> Option<String> {
    let policy = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"))?;
    Some(policy.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Value, find};

    fn node(policy: &str) -> Value {
        let text = format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\n");
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn the_policy_of_one_server_is_found() {
        assert_eq!(find(&node("allkeys-lru")).as_deref(), Some("allkeys-lru"));
        assert_eq!(find(&Value::Nil), None);
    }

    #[test]
    fn of_a_cluster_the_node_that_may_forget_counts() {
        let nodes = ["noeviction", "volatile-ttl", "noeviction"];
        let answer = Value::Map(nodes.map(|policy| (Value::Nil, node(policy))).into());
        assert_eq!(find(&answer).as_deref(), Some("volatile-ttl"));
    }
}
