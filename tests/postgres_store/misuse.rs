//! Servers and settings that cannot work: each gives an error that says what to do, and one line in the log.

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use support::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Asserts that `ready` fails with this text, and that the log has it once, however many operations fail.
async fn is_said(url: &str, what: &str) {
    let store = || PostgresStore::new(url).unwrap();
    let error = wrong(&store()).await;
    assert!(error.contains(what), "{error}");
    assert!(!error.contains("canary"), "{error}");
    let log = log();
    // On a busy machine the first error may be a timeout.
    let store = loop {
        let store = AnyStore::new(store());
        if claimed(&store).await.contains(what) {
            break store;
        }
    };
    for _ in 0..5 {
        claimed(&store).await;
    }
    let place = url.split(['@', '/']).nth(3).unwrap();
    assert_eq!(log.count(&["WARN", "delivery store fails", place, what]), 1, "{}", log.text());
}

async fn claimed(store: &AnyStore) -> String {
    let claim = store.claim(&random_key(), Owner::random(), LEASE, KEEP).await;
    claim.unwrap_err().to_string()
}

/// Executes statements without logging them: one has a password, and another test asserts that none is logged.
async fn execute(server: &Postgres, statements: String) {
    let options: PgConnectOptions = server.url().parse().unwrap();
    let mut connection = options.disable_statement_logging().connect().await.unwrap();
    let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements));
    statements.execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_database_are_reported() {
    let server = server!();
    let url = server.url().replace(PASSWORD, "canary_wrong");
    is_said(&url, "refuses the user or the password").await;
    is_said(&server.url().replace("/postgres?", "/nowhere?"), "has no such database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_is_reported() {
    let server = server!("default_transaction_read_only=on");
    is_said(&server.url(), "is it a standby?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_reported_before_it_is_needed() {
    let server = server!();
    store(&server).await;
    let role = format!("CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'");
    execute(&server, role).await;
    let url = server.url().replace("app:", "guest:");
    let expected = "a permission is missing (expected SELECT, INSERT, UPDATE and DELETE";
    is_said(&url, expected).await;
    let rights = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    for missing in rights {
        execute(&server, "REVOKE ALL ON scrapest_webhook_deliveries FROM guest".into()).await;
        let others: Vec<_> = rights.into_iter().filter(|right| *right != missing).collect();
        let others = others.join(", ");
        execute(&server, format!("GRANT {others} ON scrapest_webhook_deliveries TO guest")).await;
        let error = wrong(&PostgresStore::new(&url).unwrap()).await;
        assert!(error.contains(expected), "without {missing}: {error}");
    }
    // Without the right to delete, deliveries are still received, so a log line must report it even without `ready`.
    let guest = PostgresStore::new(&url).unwrap();
    for _ in 0..20 {
        join_all((0..100).map(|_| claim(&guest, random_key()))).await;
    }
    let place = format!("127.0.0.1:{}", server.port());
    let stays = ["WARN", "expired records cannot be deleted", &place, expected];
    eventually("the missing right is logged", || log().count(&stays) > 0).await;
    assert_eq!(log().count(&stays), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_server_version_is_reported() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            // Asks for no password, sends its version, and is ready for queries.
            let greeting = [
                &b"R\0\0\0\x08\0\0\0\0"[..],
                b"S\0\0\0\x1aserver_version\x009.4.26\0",
                b"Z\0\0\0\x05I",
            ];
            tokio::spawn(async move {
                _ = client.read(&mut [0; 1024]).await;
                _ = client.write_all(&greeting.concat()).await;
                _ = client.read(&mut [0; 1024]).await;
            });
        }
    });
    let url = format!("postgres://app@127.0.0.1:{port}/postgres?sslmode=disable");
    is_said(&url, "PostgreSQL is 9, expected 12 or newer").await;
}

#[test]
fn an_unknown_parameter_is_refused_and_the_known_ones_are_listed() {
    let url = "postgres://app@localhost/app?sslmod=require";
    let error = PostgresStore::new(url).unwrap_err().to_string();
    assert!(error.contains("unknown parameter"), "{error}");
    assert!(error.contains("expected: sslmode,"), "{error}");
}
