//! `verify` confirms a request, or names the check that failed and its likely cause.

mod body;
mod recording;
mod secrets;

use scrapest_webhook::testing::{self, SignedRequest};
use support::Folder;

use crate::receiving::{Ran, SECRET, command, run};

/// A request as files, with the sender, the secret and the flags for `verify`.
struct Case {
    folder: Folder,
    sender: &'static str,
    headers: String,
    body: Vec<u8>,
    flags: String,
    secret: String,
}

fn header_lines(signed: &SignedRequest) -> String {
    signed.headers().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

impl Case {
    fn of(sender: &'static str, signed: &SignedRequest) -> Self {
        Self {
            folder: Folder::new(),
            sender,
            headers: header_lines(signed),
            body: signed.body().to_vec(),
            flags: String::new(),
            secret: SECRET.to_owned(),
        }
    }

    fn scrapest() -> Self {
        Self::of("scrapest", &testing::scrapest(SECRET).with_delivery_id("delivery-1").sign())
    }

    fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn run(self) -> Ran {
        let body = self.folder.write("body", &self.body);
        let headers = self.folder.write("headers", &self.headers);
        let flags = format!(
            "verify --sender {} --secret-env SECRET --file {body} --header @{headers} {}",
            self.sender, self.flags
        );
        run(command(&flags).env("SECRET", &self.secret))
    }

    fn expect_refusal(self, check: &str, cause: &str) {
        let ran = self.run();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.starts_with(&format!("invalid: {check}\nwhy: ")), "{ran:?}");
        assert!(ran.stdout.contains(cause), "expected {cause:?}: {ran:?}");
    }
}

#[test]
fn a_valid_request_is_reported_as_valid() {
    let ran = Case::scrapest().run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("valid: delivery delivery-1, tweet.created, 20"), "{ran:?}");
    let signed = testing::scrapebadger_contract_2(SECRET).sign();
    assert_eq!(Case::of("scrapebadger", &signed).run().code, Some(0));
    let signed = testing::scrapest(SECRET).with_kind("webhook.verification").sign();
    assert!(Case::of("scrapest", &signed).run().stdout.starts_with("valid: a challenge"));
}

#[test]
fn a_timestamp_in_another_unit_is_recognised() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (value, cause) in [
        (format!("{now}.25"), "is in seconds with a fraction"),
        ((now / 60).to_string(), "is in minutes"),
        ((now * 10).to_string(), "is in tenths of a second"),
    ] {
        let signed = testing::scrapest(SECRET).sign().with_header("x-scrapest-timestamp", &value);
        Case::of("scrapest", &signed).expect_refusal("stale", cause);
        let body = format!(r#"{{"event":"e","timestamp":{value}}}"#);
        let signed = testing::scrapest(SECRET).with_body(body).sign();
        let mut case = Case::of("scrapest", &signed);
        let lines = case.headers.lines().filter(|line| !line.contains("timestamp"));
        case.headers = lines.map(|line| format!("{line}\n")).collect();
        case.expect_refusal("stale", cause);
    }
    let naive = "2026-03-04T12:00:00";
    let time = at(1_772_625_600);
    let signed = testing::scrapest(SECRET).with_time(time).sign();
    let signed = signed.with_header("x-scrapest-timestamp", naive);
    let flags = "--at 2026-03-04T12:00:01Z".to_owned();
    let case = Case { flags, ..Case::of("scrapest", &signed) };
    case.expect_refusal("stale", "a local time without an offset");
}

#[test]
fn a_request_of_the_other_sender_is_recognised() {
    let case = Case { sender: "scrapebadger", ..Case::scrapest() };
    case.expect_refusal(
        "missing_signature",
        "it is a request of the other sender: --sender scrapest",
    );
    let case = Case {
        sender: "scrapebadger",
        secret: "whsec_of_somebody_else_0123".to_owned(),
        ..Case::scrapest()
    };
    case.expect_refusal(
        "missing_signature",
        "the signature header of the other sender: --sender scrapest",
    );
}

#[test]
fn missing_repeated_and_malformed_signatures_are_distinguished() {
    let case = Case {
        headers: "content-type: application/json\nx-own: 1\n".to_owned(),
        ..Case::scrapest()
    };
    case.expect_refusal(
        "missing_signature",
        "expected the header x-scrapest-signature; found: content-type, x-own",
    );
    let case = Case::scrapest();
    let twice = case.headers.repeat(2);
    Case { headers: twice, ..case }.expect_refusal("repeated_signature", "found 2");
    for (from, to, cause) in [
        ("sha256=", "", "`sha256=` is missing"),
        ("sha256=", "\"sha256=", "quotes or spaces"),
        ("sha256=", "SHA256=", "written in another case"),
        ("sha256=", "v1=sha256=", "of another scheme"),
    ] {
        let case = Case::scrapest();
        let headers = case.headers.replace(from, to);
        Case { headers, ..case }.expect_refusal("malformed_signature", cause);
    }
}

#[test]
fn a_stale_request_is_reported_with_its_age_and_its_latest_valid_time() {
    let badger = || {
        let signed = testing::scrapebadger(SECRET).with_time(at(1_772_625_600)).sign();
        Case::of("scrapebadger", &signed)
    };
    let case = Case { flags: "--at 2026-03-04T14:00:01Z".to_owned(), ..badger() };
    case.expect_refusal("stale", "2026-03-04T12:00:00Z was 2h 1s old at 2026-03-04T14:00:01Z; \
                              it would have passed until 2026-03-04T13:00:00Z (--past-tolerance 1h)");
    let case = Case { flags: "--at 2026-03-04T11:00:00Z".to_owned(), ..badger() };
    case.expect_refusal("stale", "1h ahead of 2026-03-04T11:00:00Z; \
                              it would have passed from 2026-03-04T11:55:00Z (--future-tolerance 5m)");
    // Scrapest's second timestamp is in whole seconds.
    let time = at(1_772_625_600) + std::time::Duration::from_millis(900);
    let signed = testing::scrapest(SECRET).with_time(time).sign();
    for (flags, expected) in [
        ("--at 2026-03-04T14:00:00Z", "until 2026-03-04T13:00:00Z (--past-tolerance 1h)"),
        ("--at 2026-03-04T11:00:00Z", "from 2026-03-04T11:55:01Z (--future-tolerance 5m)"),
    ] {
        let case = Case { flags: flags.to_owned(), ..Case::of("scrapest", &signed) };
        case.expect_refusal("stale", expected);
    }
    let flags = "--at 1772632801 --past-tolerance 3h".to_owned();
    assert_eq!(Case { flags, ..badger() }.run().code, Some(0));
    let flags = "--at 1772625602 --past-tolerance 1s".to_owned();
    Case { flags, ..badger() }.expect_refusal("stale", "(--past-tolerance 1s)");
    let case = Case { flags: "--at 2040-01-01T00:00:00Z".to_owned(), ..badger() };
    case.expect_refusal("stale", "more than ten years off");
}

#[test]
fn a_header_that_is_older_than_the_body_is_named() {
    let signed = testing::scrapest(SECRET).sign().with_header("x-scrapest-timestamp", "1772625600");
    Case::of("scrapest", &signed)
        .expect_refusal("stale", "the header x-scrapest-timestamp says 1772625600");
}

#[test]
fn refusals_by_the_other_checks_are_named() {
    let signed = testing::scrapest(SECRET).sign().with_header("content-encoding", "gzip");
    Case::of("scrapest", &signed).expect_refusal("content_encoding", "a proxy on the way");
    let case = Case { flags: "--max-body 10".to_owned(), ..Case::scrapest() };
    case.expect_refusal("body_too_large", "--max-body");
    let signed = testing::scrapest(SECRET).with_body("{}").sign();
    Case::of("scrapest", &signed).expect_refusal("no_signed_timestamp", "no timestamp is signed");
}

#[test]
fn text_of_a_request_is_escaped() {
    let body = "{\"event\":\"a\\u001b[31mb\",\"timestamp\":1772625600}";
    let signed = testing::scrapest(SECRET).with_body(body).with_time(at(1_772_625_600)).sign();
    let case = Case { flags: "--at 1772625600".to_owned(), ..Case::of("scrapest", &signed) };
    let ran = case.run();
    assert!(ran.stdout.contains(r"a\u{1b}[31mb"), "{ran:?}");
}

#[test]
fn an_error_names_the_flag() {
    let base = "verify --sender scrapest --secret-env SECRET";
    for (flags, expected) in [
        (base.to_owned(), "--file"),
        (
            format!("{base} --file /dev/null --header nonsense"),
            "--header: expected headers as `name: value`",
        ),
        (format!("{base} --file /dev/null --header @/not/there"), "--header @/not/there: "),
        (format!("{base} --file /dev/null --past-tolerance 20years"), "--past-tolerance "),
        (format!("{base} --file /dev/null --max-body 0"), "--max-body: "),
        (format!("{base} --file /dev/null --at noon"), "--at"),
    ] {
        let ran = run(&mut command(&flags));
        assert_eq!(ran.code, Some(2), "{flags}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{flags}: {ran:?}");
    }
}

fn at(seconds: u64) -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}
