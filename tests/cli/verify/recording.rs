//! `verify` of a recorded request.

use scrapest_webhook::testing;

use super::at;
use crate::receiving::{SECRET, command, run_with_input};

/// A recording of a request from `2026-03-04T12:00:00.123Z`.
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
fn a_recording_is_checked_against_the_time_of_receipt() {
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
fn a_header_flag_overrides_the_recorded_header() {
    let mut command = command("verify --sender scrapest --secret-env SECRET --file -");
    let ran =
        run_with_input(command.args(["--header", "X-Scrapest-Signature: sha256=0"]), &recording());
    assert!(ran.stdout.starts_with("invalid: malformed_signature"), "{ran:?}");
}

#[test]
fn a_changed_recording_is_reported_as_changed() {
    let flags = "verify --sender scrapest --secret-env SECRET --file -";
    let whole = recording();
    let text = String::from_utf8(whole.clone()).unwrap();
    for (broken, expected) in [
        (whole[..whole.len() - 1].to_vec(), "the file was changed or cut"),
        ([&whole[..], b"\n"].concat(), "the file was changed or cut"),
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
    // Other line ends between the headers do no harm.
    let ran = run_with_input(&mut command(flags), text.replace("\r\n", "\n").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
