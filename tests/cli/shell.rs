//! Completions and manual pages.

use std::process::Stdio;

use support::Folder;

use crate::receiving::{command, run};

const COMMANDS: [&str; 7] = ["listen", "send", "trigger", "sign", "verify", "completions", "man"];

#[test]
fn completions_and_the_manual_name_every_command() {
    let shells = ["bash", "zsh", "fish", "elvish", "powershell"];
    let all = shells.iter().map(|shell| format!("completions {shell}")).chain(["man".to_owned()]);
    for flags in all {
        let ran = run(&mut command(&flags));
        assert_eq!(ran.code, Some(0), "{flags}: {ran:?}");
        // The scripts call the command; the manual contains every name itself.
        let names: &[&str] = if flags == "man" { &COMMANDS } else { &["scrapest-webhook"] };
        for name in names {
            assert!(ran.stdout.contains(name), "{flags}: {name}");
        }
    }
}

#[test]
fn every_command_has_its_own_manual_page() {
    let folder = Folder::new();
    let ran = run(&mut command(&format!("man --dir {}", folder.file("."))));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for name in COMMANDS {
        let page =
            std::fs::read_to_string(folder.file(&format!("scrapest-webhook-{name}.1"))).unwrap();
        assert!(page.contains(&format!("scrapest-webhook-{name}")), "{name}: {page}");
    }
    let ran = run(&mut command("man --dir /not/there"));
    assert!(ran.code == Some(2) && ran.stderr.contains("--dir /not/there"), "{ran:?}");
}

#[test]
fn a_closed_stdout_never_causes_a_panic() {
    for flags in [
        "completions bash",
        "man",
        "sign --sender scrapest --secret-env SECRET --body-out /dev/null",
        "verify --sender scrapest --secret-env SECRET --file /dev/null",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            command(flags).stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "", "{flags}");
        assert!(output.status.code().is_some_and(|code| code < 2), "{flags}");
    }
}
