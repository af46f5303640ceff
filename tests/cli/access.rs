//! `listen`: the clients that may send, and the secrets that are accepted, while it runs.

use crate::listening::{Listening, SECRET, scrapest};
use crate::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn the_allow_list_applies_to_the_client_named_by_a_trusted_proxy() {
    let flags = ["--allow-ip", "192.0.2.0/24", "--trusted-proxy", "127.0.0.1"];
    let listening = Listening::start(&flags);
    let by = |client: &str| scrapest().sign().with_header("x-forwarded-for", client);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 403);
    assert_eq!(listening.send(&by("198.51.100.7")).await.status, 403);
    assert_eq!(listening.send(&by("192.0.2.7")).await.status, 204);
    assert_eq!(listening.send(&by("192.0.2.7, 198.51.100.7")).await.status, 403);
    let listening = Listening::start(&flags[..2]);
    assert_eq!(listening.send(&by("192.0.2.7")).await.status, 403, "no proxy is trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_addresses_get_403_and_a_replaced_secret_file_takes_effect() {
    let folder = support::Folder::new();
    let file = folder.write("secret", "the-secret-of-last-month");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_scrapest-webhook"));
    command.args(["listen", "--sender", "scrapest", "--secret-file", &file]);
    command.args(["--listen", "127.0.0.1:0", "--allow-ip", "127.0.0.0/8"]).env_remove("RUST_LOG");
    let listening = Listening::of(command);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 401);
    folder.write("secret", SECRET);
    listening.says("the secrets were replaced");
    assert_eq!(listening.send(&scrapest().sign()).await.status, 204);
    let upstream = Upstream::start(&[]).await;
    let listening = Listening::start(&[
        "--forward",
        &upstream.url(),
        "--allow-ip",
        "192.0.2.0/24,2001:db8::/32",
    ]);
    assert_eq!(listening.send(&scrapest().sign()).await.status, 403);
    assert!(upstream.received().is_empty());
}
