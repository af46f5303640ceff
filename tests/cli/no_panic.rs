//! For every flag value and every output, the result is an error, never a panic, and contains nothing
//! confidential.

use std::fs::File;
use std::process::{Command, Stdio};

use support::Folder;

use crate::receiving::{Ran, command, run};

const PANIC: i32 = 101;

/// Values at the limits of their types and formats.
const VALUES: [&str; 12] = [
    "0",
    "-1",
    "1",
    "18446744073709551615",
    "99999999999999999999999",
    "NaN",
    "300000000000y",
    "18446744073709551615s",
    "9999-12-31T23:59:59.5Z",
    "-377705116800",
    "/",
    "",
];

#[test]
fn flag_values_never_cause_a_panic() {
    let (folder, nobody) = (Folder::new(), "http://127.0.0.1:1/");
    let body = folder.write("body", "{}");
    let send = format!("send --sender scrapest --secret-env SECRET --retries 0 --to {nobody}");
    let listen = "listen --sender scrapest --secret-env SECRET --listen 127.0.0.1:99999";
    let verify = format!("verify --sender scrapest --secret-env SECRET --file {body}");
    let sign = format!("sign --sender scrapest --secret-env SECRET --file {body}");
    let flags: [(&str, &[&str]); 4] = [
        (
            &send,
            &["--rate", "--concurrency", "--duplicates", "--backoff", "--timeout", "--timestamp"],
        ),
        (
            listen,
            &[
                "--max-body",
                "--past-tolerance",
                "--future-tolerance",
                "--answer-within",
                "--run-limit",
                "--lease",
                "--retention",
                "--forward-timeout",
                "--path",
            ],
        ),
        (&verify, &["--at", "--past-tolerance", "--max-body", "--header"]),
        (&sign, &["--timestamp", "--id", "--event"]),
    ];
    for (line, flags) in flags {
        for flag in flags {
            for value in VALUES {
                let ran = run(command(line).arg(format!("{flag}={value}")));
                assert!(matches!(ran.code, Some(0..=2)), "{line} {flag}={value}: {ran:?}");
            }
        }
    }
}

#[test]
fn an_event_at_the_end_of_the_calendar_never_causes_a_panic() {
    let folder = Folder::new();
    let text =
        r#"{"event":"tweet.created","id":"e1","timestamp":"9999-12-31T23:59:59.5Z","data":{}}"#;
    let body = folder.write("body", text);
    let signed =
        run(&mut command(&format!("sign --sender scrapest --secret-env SECRET --file {body}")));
    let signature =
        signed.stdout.lines().find(|line| line.starts_with("x-scrapest-signature")).unwrap();
    let headers = folder.write("headers", signature);
    for at in ["9999-12-31T22:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"] {
        let line = "verify --sender scrapest --secret-env SECRET";
        let ran = run(&mut command(&format!("{line} --file {body} --header @{headers} --at {at}")));
        assert!(matches!(ran.code, Some(0 | 1)), "{at}: {ran:?}");
    }
}

#[test]
fn an_error_that_cannot_be_printed_still_sets_the_exit_status() {
    for line in [
        "sign --sender scrapest --secret-env NOT_SET --file /not/there",
        "listen --sender scrapest --secret-env NOT_SET",
        "verify --sender scrapest --secret-env NOT_SET --file /not/there",
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = command(line).stderr(Stdio::from(full)).status().unwrap();
        assert_eq!(status.code(), Some(2), "{line}, where {PANIC} is a panic");
    }
}

/// A value in place of a name, or in a URL, is not repeated.
#[test]
fn a_secret_given_instead_of_a_variable_name_is_not_shown() {
    let check = |command: &mut Command, flag: &str| {
        let Ran { code, stdout, stderr } = run(command);
        assert_eq!(code, Some(2), "{stdout} {stderr}");
        assert!(stderr.contains(flag), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    };
    check(
        &mut command("sign --sender scrapest --secret-env whsec_hunter2 --body-out x"),
        "--secret-env: ",
    );
    let listen = "listen --sender scrapest --secret-env SECRET --listen 127.0.0.1:0";
    for flag in ["--store-env", "--forward-env", "--store", "--forward"] {
        let scheme = if flag.starts_with("--store") { "postgres" } else { "http" };
        let line = format!("{listen} {flag} {scheme}://user:hunter2@127.0.0.1/x");
        check(&mut command(&line), &format!("{flag}: "));
    }
    let send = "send --sender scrapest --secret-env SECRET --to";
    for url in ["http://user:hunter2@127.0.0.1/", "hunter2:hunter2", "ftp://hunter2"] {
        check(&mut command(&format!("{send} {url}")), "--to: ");
    }
}

#[test]
fn a_piped_secret_is_read_once_and_an_endless_one_is_refused() {
    let folder = Folder::new();
    let (pipe, body) = (folder.file("pipe"), folder.write("body", "{}"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::write(pipe, "whsec-of-another-0001").unwrap())
    };
    let signature = format!("x-scrapest-signature:sha256={}", "0".repeat(64));
    let line = format!("verify --sender scrapest --secret-file {pipe} --file {body} --header");
    let ran = run(command(&line).arg(signature));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    writer.join().unwrap();

    let ran = run(&mut command("sign --sender scrapest --secret-file /dev/zero --body-out x"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--secret-file /dev/zero: "), "{ran:?}");
}
