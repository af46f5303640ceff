//! `listen` with `--tls-cert` and `--tls-key`.

use std::fs;

use reqwest::{Certificate, Client};
use support::Folder;

use crate::listening::{LONG, Listening, command, refused, scrapest};

pub struct Pair {
    pub cert: String,
    pub key: String,
    pem: String,
}

/// Creates a certificate for the loopback interface, in two files.
pub fn pair(folder: &Folder, name: &str) -> Pair {
    let made =
        rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
    let (cert, key) = (folder.file(&format!("{name}.crt")), folder.file(&format!("{name}.key")));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Pair { cert, key, pem: made.cert.pem() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_over_tls_is_received() {
    let folder = Folder::new();
    let pair = pair(&folder, "a");
    let listening = Listening::start(&["--tls-cert", &pair.cert, "--tls-key", &pair.key]);
    assert!(listening.url.starts_with("https://127.0.0.1:"), "{}", listening.url);

    _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(pair.pem.as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]).timeout(LONG).build().unwrap();
    let request = scrapest().sign();
    let mut post = client.post(&listening.url).body(request.body().clone());
    for (name, value) in request.headers() {
        post = post.header(name, value);
    }
    let answer = post.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    listening.event();

    // A client without TLS gets no answer, and has no effect on others.
    let plain = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    assert!(plain.post(listening.url.replace("https", "http")).send().await.is_err());
    assert_eq!(listening.stop().status.code(), Some(0));
}

#[test]
fn an_error_about_an_unusable_certificate_names_the_flag() {
    let folder = Folder::new();
    let (a, b) = (pair(&folder, "a"), pair(&folder, "b"));
    let junk = folder.file("junk");
    fs::write(&junk, "canary no PEM").unwrap();
    let broken = folder.file("broken");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n").unwrap();
    let missing = folder.file("missing");
    for (cert, key, expected) in [
        (&missing, &a.key, format!("--tls-cert {missing}: ")),
        (&junk, &a.key, format!("--tls-cert {junk}: ")),
        (&broken, &a.key, format!("--tls-cert {broken}")),
        (&a.key, &a.key, format!("--tls-cert {}: ", a.key)),
        (&a.cert, &missing, format!("--tls-key {missing}: ")),
        (&a.cert, &junk, format!("--tls-key {junk}: ")),
        (&a.cert, &a.cert, format!("--tls-key {}: ", a.cert)),
        (
            &a.cert,
            &b.key,
            format!("--tls-cert {} and --tls-key {} do not belong together", a.cert, b.key),
        ),
    ] {
        let mut command = command();
        command.args(["--sender", "scrapest", "--tls-cert", cert, "--tls-key", key]);
        let (code, out, error) = refused(&mut command);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(&expected) && !error.contains("canary"), "{error}");
    }
}
