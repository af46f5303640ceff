//! The attacks of `send`, and its report about the receiver.

use scrapest_webhook::scrapebadger::ScrapeBadger;
use scrapest_webhook::scrapest::Scrapest;
use support::free_port;

use crate::receiving::{Application, Ran, Script, Step, command, run};

const ATTACKS: [(&str, &str); 5] = [
    ("--forge", "401"),
    ("--stale", "401"),
    ("--tamper", "401"),
    ("--gzip", "415"),
    ("--oversize", "413"),
];

fn send(sender: &str, url: &str, flags: &str) -> Ran {
    let flags = format!("send --sender {sender} --secret-env SECRET --to {url} {flags}");
    run(&mut command(&flags))
}

#[test]
fn a_receiver_behind_the_layer_refuses_every_attack() {
    let (scrapest, badger) =
        (Application::start::<Scrapest>(), Application::start::<ScrapeBadger>());
    for (sender, receiver) in [("scrapest", &scrapest), ("scrapebadger", &badger)] {
        for (flag, status) in ATTACKS {
            let ran = send(sender, &receiver.url, &format!("{flag} --count 3"));
            assert_eq!(ran.code, Some(0), "{flag}: {ran:?}");
            assert!(ran.stdout.contains(&format!("{flag}: 3 refused")), "{ran:?}");
            // A receiver may also close the connection on an oversized body.
            assert!(ran.stdout.contains(status) || flag == "--oversize", "{flag}: {ran:?}");
            assert_eq!(receiver.handled(), 0, "{flag}");
        }
    }
}

#[test]
fn an_attack_that_succeeds_exits_with_status_1() {
    let naive = Script::start([Step::Answer(200)]);
    for (flag, _) in ATTACKS {
        let ran = send("scrapest", &naive.url, flag);
        assert_eq!(ran.code, Some(1), "{flag}: {ran:?}");
        assert!(
            ran.stdout.contains(&format!("{flag}: 1 answered with 2xx: this receiver ")),
            "{ran:?}"
        );
    }
    // Each attack once.
    assert_eq!(naive.seen().len(), ATTACKS.len());
}

#[test]
fn a_replay_is_a_duplicate_and_is_not_handled_again() {
    let receiver = Application::start::<Scrapest>();
    let ran = send("scrapest", &receiver.url, "--replay-new-id");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("--replay-new-id: 1 answered with 2xx: as a duplicate should be"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("1 × 200, 1 × 204"), "{ran:?}");
    assert_eq!(receiver.handled(), 1);
}

#[test]
fn a_replay_sends_the_same_signed_bytes_under_a_new_id() {
    let script = Script::start([Step::Answer(200)]);
    for sender in ["scrapest", "scrapebadger"] {
        assert_eq!(send(sender, &script.url, "--replay-new-id").code, Some(0));
    }
    for pair in script.seen().chunks(2) {
        let [first, second] = pair else { panic!("{pair:?}") };
        assert_eq!(first.body, second.body);
        let differing: Vec<_> = first
            .head
            .lines()
            .zip(second.head.lines())
            .filter(|(one, other)| one != other)
            .collect();
        assert!(
            matches!(differing[..], [(name, _)] if name.contains("-delivery-id: ")),
            "{differing:?}"
        );
    }
}

#[test]
fn an_unanswered_attack_proves_nothing() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for flag in ["--forge", "--replay-new-id", "--oversize"] {
        let ran = send("scrapest", &nobody, flag);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("this proves nothing"), "{ran:?}");
    }
    let failing = Script::start([Step::Answer(500)]);
    let ran = send("scrapest", &failing.url, "--replay-new-id");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("the delivery before was not accepted"), "{ran:?}");
}

#[test]
fn json_output_includes_the_attacks() {
    let receiver = Application::start::<Scrapest>();
    let ran = send("scrapest", &receiver.url, "--forge --json");
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["attack"]["flag"], "--forge");
    assert_eq!(summary["attack"]["refused"], 1);
    assert_eq!(summary["answers"]["401"], 1);
}

#[test]
fn flags_that_contradict_an_attack_are_refused() {
    for flags in [
        "--forge --tamper",
        "--forge --retries 1",
        "--forge --backoff 1s",
        "--forge --duplicates 1",
        "--stale --timestamp 1",
        "--replay-new-id --id 1",
    ] {
        let ran = send("scrapest", "http://127.0.0.1:9", flags);
        assert_eq!(ran.code, Some(2), "{flags}: {ran:?}");
        assert!(ran.stderr.contains("cannot be used with"), "{flags}: {ran:?}");
    }
    let ran = send("scrapebadger", "http://127.0.0.1:9", "--stale --file /dev/null");
    assert!(ran.code == Some(2) && ran.stderr.contains("--stale: "), "{ran:?}");
}

#[test]
fn an_error_status_does_not_count_as_a_refusal() {
    for status in [404, 405, 429, 500, 502, 503] {
        let wrong = Script::start([Step::Answer(status)]);
        let ran = send("scrapest", &wrong.url, "--forge");
        assert_eq!(ran.code, Some(1), "{status}: {ran:?}");
        assert!(ran.stdout.contains("this proves nothing"), "{status}: {ran:?}");
    }
}

#[test]
fn requests_go_to_the_receiver_and_never_through_a_proxy() {
    let (receiver, proxy) = (Application::start::<Scrapest>(), Script::start([Step::Answer(200)]));
    let flags = format!("send --sender scrapest --secret-env SECRET --to {}", receiver.url);
    let mut command = command(&flags);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &proxy.url);
    }
    let ran = run(&mut command);
    assert_eq!((ran.code, receiver.handled(), proxy.seen().len()), (Some(0), 1, 0), "{ran:?}");
}
