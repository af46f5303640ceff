//! `verify` says yes, or which check fails, and what is behind it.

use scrapest_webhook::testing::{self, SignedRequest};
use support::Folder;

use crate::receiving::{Ran, SECRET, command, run, run_with_input};

/// A request as files, and what `verify` is to make of it.
struct Case {
    folder: Folder,
    sender: &'static str,
    headers: String,
    body: Vec<u8>,
    flags: String,
    secret: String,
}

impl Case {
    fn of(sender: &'static str, signed: &SignedRequest) -> Self {
        Self {
            folder: Folder::new(),
            sender,
            headers: signed.headers().map(|(name, value)| format!("{name}: {value}\n")).collect(),
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
fn a_valid_request_is_said_to_be_valid() {
    let ran = Case::scrapest().run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("valid: delivery delivery-1, tweet.created, 20"), "{ran:?}");
    let signed = testing::scrapebadger_contract_2(SECRET).sign();
    assert_eq!(Case::of("scrapebadger", &signed).run().code, Some(0));
    let signed = testing::scrapest(SECRET).with_kind("webhook.verification").sign();
    assert!(Case::of("scrapest", &signed).run().stdout.starts_with("valid: a challenge"));
}

#[test]
fn a_body_that_gained_or_lost_a_line_end_is_recognised() {
    let body = Case::scrapest().body;
    for end in ["\n", "\r\n"] {
        let case = Case::scrapest();
        let longer = [&case.body, end.as_bytes()].concat();
        case.with_body(longer)
            .expect_refusal("wrong_signature", "a line end was added to the body");
        let signed = testing::scrapest(SECRET).with_body([&body, end.as_bytes()].concat()).sign();
        Case::of("scrapest", &signed)
            .with_body(body.clone())
            .expect_refusal("wrong_signature", "the line end of the body was taken away");
    }
}

#[test]
fn a_body_with_other_line_ends_is_recognised() {
    for (signed, received, cause) in [
        ("{\r\n\"a\": 1\r\n}", "{\n\"a\": 1\n}", "from CR LF to LF"),
        ("{\n\"a\": 1\n}", "{\r\n\"a\": 1\r\n}", "from LF to CR LF"),
        ("{}", "\u{feff}{}", "a byte order mark"),
    ] {
        let signed = testing::scrapest(SECRET).with_body(signed).sign();
        Case::of("scrapest", &signed).with_body(received).expect_refusal("wrong_signature", cause);
    }
}

#[test]
fn a_body_that_was_serialised_anew_is_recognised() {
    let received =
        r#"{ "text":"Grüße 🦀", "url":"https://x.com/", "list":[1,2.5,[]],"z":{},"a":null}"#;
    for (signed, name) in [
        (
            r#"{"text":"Grüße 🦀","url":"https://x.com/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "as compact JSON,",
        ),
        (
            r#"{"text":"Gr\u00fc\u00dfe \ud83e\udd80","url":"https://x.com/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "in ASCII,",
        ),
        (
            r#"{"text":"Gr\u00fc\u00dfe \ud83e\udd80","url":"https:\/\/x.com\/","list":[1,2.5,[]],"z":{},"a":null}"#,
            "PHP",
        ),
        (
            r#"{"text": "Gr\u00fc\u00dfe \ud83e\udd80", "url": "https://x.com/", "list": [1, 2.5, []], "z": {}, "a": null}"#,
            "Python",
        ),
        (
            "{\n  \"text\": \"Grüße 🦀\",\n  \"url\": \"https://x.com/\",\n  \"list\": [\n    1,\n    2.5,\n    []\n  ],\n  \"z\": {},\n  \"a\": null\n}",
            "indented by 2",
        ),
        (
            "{\"text\":\"Grüße 🦀\",\"url\":\"https://x.com/\",\"list\":[1,2.5,[]],\"z\":{},\"a\":null}\n",
            "as compact JSON,",
        ),
    ] {
        let signed = testing::scrapest(SECRET).with_body(signed).sign();
        let case = Case::of("scrapest", &signed).with_body(received);
        case.expect_refusal("wrong_signature", "the body was re-serialised");
        Case::of("scrapest", &signed).with_body(received).expect_refusal("wrong_signature", name);
    }
}

#[test]
fn a_body_that_was_encoded_cut_or_escaped_anew_is_recognised() {
    use std::io::Write;

    let time = r#""timestamp":1772625600"#;
    let signed = format!(r#"{{"event":"e",{time},"text":"a \u003c b/c \u00E9 <é>"}}"#);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(signed.as_bytes()).unwrap();
    let form: String =
        signed.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().replace("%20", "+");
    for (received, cause) in [
        (gzip.finish().unwrap(), "compressed with gzip"),
        (data_encoding::BASE64.encode(signed.as_bytes()).into_bytes(), "encoded in base64"),
        (serde_json::Value::from(&*signed).to_string().into_bytes(), "put into a JSON string"),
        (form.clone().into_bytes(), "encoded as a form"),
        (format!("payload={form}&a=b").into_bytes(), "encoded as a form"),
        (signed[..signed.len() - 2].into(), "its last bytes are missing"),
        (Vec::new(), "the body is empty"),
    ] {
        let request = testing::scrapest(SECRET).with_body(signed.clone()).sign();
        Case::of("scrapest", &request).with_body(received).expect_refusal("wrong_signature", cause);
    }
    for (signed, received, cause) in [
        (r"a\u003cb\u003e\u0026", "a<b>&", "signed with `\\u003c` for `<`"),
        ("a<b>&", r"a\u003cb\u003e\u0026", "signed with `<` for `\\u003c`"),
        (r"\u00E9\uD83D", r"\u00e9\ud83d", "signed with upper-case digits"),
        (r"\u00e9", r"\u00E9", "signed with lower-case digits"),
        (r"\u00e9", "é", "signed in ASCII"),
        (r"a\/b", "a/b", r"signed with `\/` for `/`"),
        ("a/b", r"a\/b", r"signed with `/` for `\/`"),
    ] {
        // The layout, which no library writes, has stayed.
        let body = |text: &str| format!("{{ \"event\":\"e\",\t{time} ,\"text\":\"{text}\"}}");
        let request = testing::scrapest(SECRET).with_body(body(signed)).sign();
        let case = Case::of("scrapest", &request).with_body(body(received));
        case.expect_refusal("wrong_signature", cause);
    }
    // Line ends and keys are told apart from the layout.
    let pretty = format!("{{\r\n  \"event\": \"e\",\r\n  {time}\r\n}}");
    let request = testing::scrapest(SECRET).with_body(pretty.clone()).sign();
    let case = Case::of("scrapest", &request).with_body(pretty.replace("\r\n", "\n"));
    case.expect_refusal("wrong_signature", "from CR LF to LF");
    let sorted = format!(r#"{{"a":1,"event":"e",{time}}}"#);
    let request = testing::scrapest(SECRET).with_body(sorted).sign();
    let case = Case::of("scrapest", &request).with_body(format!(r#"{{{time},"event":"e","a":1}}"#));
    case.expect_refusal("wrong_signature", "its keys sorted");
    let case = Case::scrapest();
    let long = [case.body.clone(), b"more".to_vec()].concat();
    let length = case.body.len();
    let mut case = case.with_body(long);
    case.headers += &format!("content-length: {length}\n");
    case.expect_refusal("wrong_signature", "bytes were added");
}

#[test]
fn a_secret_in_another_dress_is_recognised_and_not_printed() {
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    for (given, cause) in [
        (format!(" {SECRET}"), "blanks or a line end around it"),
        (format!("'{SECRET}'"), "in quotes"),
        (format!("\"{SECRET}\"\n"), "in quotes"),
        (hex.clone(), "hexadecimal"),
        (hex.to_uppercase(), "hexadecimal"),
        ("d2hzZWMtdGVzdC1zZWNyZXQtMDAwMQ==".to_owned(), "base64"),
        ("d2hzZWMtdGVzdC1zZWNyZXQtMDAwMQ".to_owned(), "base64"),
    ] {
        let case = Case { secret: given, ..Case::scrapest() };
        case.expect_refusal("wrong_signature", cause);
    }
}

#[test]
fn a_secret_with_a_prefix_a_name_or_another_encoding_is_recognised() {
    let utf_16: Vec<u8> =
        [0xfeff].into_iter().chain(SECRET.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let folder = Folder::new();
    let key = [0x91; 18];
    let base64 = data_encoding::BASE64.encode(&key);
    for (secret, given, cause) in [
        // A file that is clearly not a secret is refused before anything is tried.
        (SECRET.as_bytes(), utf_16, "is UTF-16, expected"),
        (SECRET.as_bytes(), [b"\xef\xbb\xbf", SECRET.as_bytes()].concat(), "byte order mark"),
        (SECRET.as_bytes(), format!("SECRET={SECRET}\n").into(), "NAME=value, expected"),
        (SECRET.as_bytes(), format!("\"{SECRET}\"").into(), "in quotes"),
        (b"0123456789abcdef", b"whsec_0123456789abcdef".to_vec(), "has the prefix `whsec_`"),
        (b"whsec_0123456789abcdef", b"0123456789abcdef".to_vec(), "lacks its prefix `whsec_`"),
        (&key, format!("whsec_{base64}").into(), "is given in base64"),
        (&key, base64.clone().into(), "is given in base64"),
    ] {
        let signed = testing::scrapest(secret).sign();
        let body = folder.write("body", signed.body());
        let headers: String =
            signed.headers().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let headers = folder.write("headers", headers);
        let secret = folder.write("secret", &given);
        let flags = format!(
            "verify --sender scrapest --secret-file {secret} --file {body} --header @{headers}"
        );
        let ran = run(&mut command(&flags));
        let said = [&*ran.stdout, &*ran.stderr].concat();
        assert!(said.contains(cause), "expected {cause:?}: {ran:?}");
        assert!(!said.contains("0123456789abcdef") && !said.contains(SECRET), "{ran:?}");
        // In a variable it may be a secret, so it is tried.
        if let (Ok(given), "NAME=value, expected") = (String::from_utf8(given), cause) {
            let flags = flags.replace(&format!("--secret-file {secret}"), "--secret-env GIVEN");
            let ran = run(command(&flags).env("GIVEN", given));
            assert!(ran.stdout.contains("like NAME=value"), "{ran:?}");
        }
    }
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
fn a_secret_whose_line_end_counts_is_recognised() {
    let folder = Folder::new();
    let secret = format!("{SECRET}\n");
    let signed = testing::scrapest(&secret).sign();
    let body = folder.write("body", signed.body());
    let headers: String =
        signed.headers().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let headers = folder.write("headers", headers);
    let secret = folder.write("secret", secret);
    let flags = format!(
        "verify --sender scrapest --secret-file {secret} --file {body} --header @{headers}"
    );
    let ran = run(&mut command(&flags));
    assert!(ran.stdout.contains("ends with a line end that belongs to the secret"), "{ran:?}");
}

#[test]
fn another_secret_is_named_when_nothing_else_fits() {
    let case = Case { secret: "whsec_of_somebody_else_0123".to_owned(), ..Case::scrapest() };
    case.expect_refusal("wrong_signature", "most likely the secret");
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
fn a_missing_a_repeated_and_a_malformed_signature_are_told_apart() {
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
        ("sha256=", "\"sha256=", "quotes or blanks"),
        ("sha256=", "SHA256=", "written in another case"),
        ("sha256=", "v1=sha256=", "of another scheme"),
    ] {
        let case = Case::scrapest();
        let headers = case.headers.replace(from, to);
        Case { headers, ..case }.expect_refusal("malformed_signature", cause);
    }
}

#[test]
fn a_stale_request_is_told_how_old_it_is_and_until_when_it_would_have_passed() {
    let badger = || {
        let signed =
            testing::scrapebadger(SECRET).with_time(crate::verify::at(1_772_625_600)).sign();
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
fn a_header_that_is_not_as_fresh_as_the_body_is_named() {
    let signed = testing::scrapest(SECRET).sign().with_header("x-scrapest-timestamp", "1772625600");
    Case::of("scrapest", &signed)
        .expect_refusal("stale", "the header x-scrapest-timestamp says 1772625600");
}

#[test]
fn what_the_other_checks_refuse_is_named() {
    let signed = testing::scrapest(SECRET).sign().with_header("content-encoding", "gzip");
    Case::of("scrapest", &signed).expect_refusal("content_encoding", "a proxy on the way");
    let case = Case { flags: "--max-body 10".to_owned(), ..Case::scrapest() };
    case.expect_refusal("body_too_large", "--max-body");
    let signed = testing::scrapest(SECRET).with_body("{}").sign();
    Case::of("scrapest", &signed).expect_refusal("no_signed_timestamp", "no timestamp is under it");
}

/// `2026-03-04T12:00:00.123Z`, and a request of that time.
fn recording() -> Vec<u8> {
    let time = "2026-03-04T12:00:00.123Z";
    let body = format!(r#"{{"event":"tweet.created","timestamp":"{time}","data":{{"id":"1"}}}}"#);
    let signed = testing::scrapest(SECRET).with_body(body).with_time(at(1_772_625_600)).sign();
    let headers: String =
        signed.headers().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut bytes = format!(
        "POST /webhooks?a=1 HTTP/1.1\r\n{headers}scrapest-webhook-received: {time}\r\ncontent-length: {}\r\n\r\n",
        signed.body().len()
    )
    .into_bytes();
    bytes.extend_from_slice(signed.body());
    bytes
}

#[test]
fn a_recording_is_checked_as_of_the_time_it_was_received() {
    let flags = "verify --sender scrapest --secret-env SECRET --file -";
    let ran = run_with_input(&mut command(flags), &recording());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("tweet.created, 2026-03-04T12:00:00.123Z"), "{ran:?}");
    let ran =
        run_with_input(&mut command(&format!("{flags} --at 2026-03-05T00:00:00Z")), &recording());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("invalid: stale"), "{ran:?}");
}

#[test]
fn a_header_given_takes_the_place_of_the_recordings() {
    let mut command = command("verify --sender scrapest --secret-env SECRET --file -");
    let ran =
        run_with_input(command.args(["--header", "X-Scrapest-Signature: sha256=0"]), &recording());
    assert!(ran.stdout.starts_with("invalid: malformed_signature"), "{ran:?}");
}

#[test]
fn a_recording_that_was_changed_says_so() {
    let flags = "verify --sender scrapest --secret-env SECRET --file -";
    let whole = recording();
    let text = String::from_utf8(whole.clone()).unwrap();
    for (broken, expected) in [
        (whole[..whole.len() - 1].to_vec(), "it was changed, or cut"),
        ([&whole[..], b"\n"].concat(), "it was changed, or cut"),
        (whole[..60].to_vec(), "breaks off in its headers"),
        (
            text.replace("2026-03-04T12:00:00.123Z\r\nc", "yesterday\r\nc").into_bytes(),
            "scrapest-webhook-received",
        ),
        (
            text.replace("x-scrapest-event", "x scrapest event").into_bytes(),
            "is not a recorded request",
        ),
    ] {
        let ran = run_with_input(&mut command(flags), &broken);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.starts_with("error: --file -: ") && ran.stderr.contains(expected),
            "{ran:?}"
        );
    }
    // Line ends of the headers alone are harmless.
    let ran = run_with_input(&mut command(flags), text.replace("\r\n", "\n").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn text_from_outside_is_escaped() {
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

pub(crate) fn at(seconds: u64) -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}
