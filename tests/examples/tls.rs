//! The certificate before and after its replacement.

use std::fs;
use std::io::BufRead;
use std::time::Duration;

use reqwest::{Certificate, Client};

use crate::genuine;
use crate::process::Example;

async fn status(example: &Example, trusted: &str) -> Option<u16> {
    let root = Certificate::from_pem(trusted.as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]);
    let client = client.timeout(Duration::from_secs(20)).build().unwrap();
    let request = genuine().sign();
    let mut post = client.post(example.url("https")).body(request.body().clone());
    for (name, value) in request.headers() {
        post = post.header(name, value);
    }
    post.send().await.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_a_renewed_certificate_but_never_a_broken_one() {
    _ = rustls::crypto::ring::default_provider().install_default();
    let folder = std::env::temp_dir().join(format!("webhook-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let renew = || {
        let made =
            rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    };
    let old = renew();
    let files = [("TLS_CERT", cert.to_str().unwrap()), ("TLS_KEY", key.to_str().unwrap())];
    let mut example = Example::start("tls", &files);
    assert_eq!(status(&example, &old).await, Some(204));

    fs::write(&cert, "no PEM").unwrap();
    example.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(status(&example, &old).await, Some(204), "the old one stays");

    let new = renew();
    example.signal("HUP");
    loop {
        let mut line = String::new();
        assert!(example.out.read_line(&mut line).unwrap() > 0, "it has ended");
        if line.contains("read anew") {
            break;
        }
    }
    assert_eq!((status(&example, &new).await, status(&example, &old).await), (Some(204), None));
    example.signal("TERM");
    assert_eq!(example.end().code(), Some(0));
    fs::remove_dir_all(&folder).unwrap();
}
