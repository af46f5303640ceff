//! Values that are given as a secret by mistake: certain mistakes are refused, likely ones are logged at WARN.

use std::time::Duration;

use scrapest_webhook::{ScrapestWebhookLayer, Secret, Secrets, testing};
use support::in_process::{app, status};
use support::logged::Logged;
use support::{Folder, Handler};

const GOOD: &str = "whsec_canary_7b1d5f0c93aa4e21";

fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[tokio::test]
async fn a_file_that_is_clearly_not_a_secret_is_refused_and_the_error_says_what_it_is() {
    let folder = Folder::new();
    let file = folder.file("secret");
    let lines = [
        (format!("# the webhook's secret\n{GOOD}\n").into_bytes(), "comment line"),
        (format!("{GOOD}\n  # the old one\n").into_bytes(), "comment line"),
        (format!("\u{feff}{GOOD}\n").into_bytes(), "byte order mark"),
        (utf_16(&format!("\u{feff}{GOOD}\n"), u16::to_le_bytes), "UTF-16"),
        (utf_16(&format!("\u{feff}{GOOD}\n"), u16::to_be_bytes), "UTF-16"),
        (utf_16(GOOD, u16::to_le_bytes), "UTF-16"),
        (format!("WEBHOOK_SECRET={GOOD}\n").into_bytes(), "NAME=value"),
        (format!("export WEBHOOK_SECRET = \"{GOOD}\"\n").into_bytes(), "NAME=value"),
    ];
    for (content, what) in lines {
        std::fs::write(&file, content).unwrap();
        let watched = Secrets::from_watched_file(&file, Duration::from_secs(1)).map(|_| ());
        for error in [Secret::from_file(&file).map(|_| ()).unwrap_err(), watched.unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(what) && error.contains("expected"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_file_with_a_plausible_secret_is_accepted() {
    let folder = Folder::new();
    let file = folder.file("secret");
    // In base64 that ends with `=`; with a comment sign; random bytes with a zero.
    for secret in
        [&b"d2ViaG9vaw=="[..], b"whsec_3fb1#c8a0d94e", b"\x00\x9f\x01\xfe\x80\x00\x13\x37\xc0"]
    {
        std::fs::write(&file, [secret, b"\r\n"].concat()).unwrap();
        let layer = ScrapestWebhookLayer::new(Secret::from_file(&file).unwrap());
        assert_eq!(
            status(&app(layer, &Handler::ok()), &testing::scrapest(secret).sign()).await,
            200
        );
    }
}

#[test]
fn an_unusual_secret_is_logged_once_and_works() {
    for (secret, what) in [
        (format!("\"{GOOD}\""), "is in quotes"),
        (format!("'{GOOD}'"), "is in quotes"),
        (format!(" {GOOD}"), "begins or ends with whitespace"),
        (format!("{GOOD}\t"), "begins or ends with whitespace"),
        (format!("{GOOD}\n"), "contains a line feed"),
        (format!("\u{feff}{GOOD}"), "begins with a byte order mark"),
    ] {
        let (logged, _guard) = Logged::begin();
        ScrapestWebhookLayer::new(secret).check().unwrap();
        let lines = logged.warnings();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(line.message().contains(what), "{line:?}");
        assert!(!line.message().contains("canary"), "{line:?}");
    }
    let (logged, _guard) = Logged::begin();
    ScrapestWebhookLayer::new(GOOD).check().unwrap();
    assert!(logged.warnings().is_empty());
}
