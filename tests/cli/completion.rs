//! The completion scripts in the real shells.

use std::path::Path;
use std::process::{Command, Stdio};

use support::Folder;

use crate::receiving::{command, run};
use crate::terminal::Terminal;

/// Whether this shell is installed. Panics if it is required and missing.
fn is_installed(shell: &str) -> bool {
    let is_installed = Command::new(shell).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !is_installed {
        assert!(std::env::var_os("REQUIRE_SERVERS").is_none(), "no {shell} is installed");
        eprintln!("skipped: no {shell} is installed");
    }
    is_installed
}

/// The search path with the binary under test.
fn paths() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_scrapest-webhook")).parent().unwrap();
    format!("{}:{}", program.display(), std::env::var("PATH").unwrap())
}

/// The shell's completions for `line`, one per line, or `None` if the shell is not installed.
fn offered(shell: &str, line: &str) -> Option<String> {
    if !is_installed(shell) {
        return None;
    }
    let folder = Folder::new();
    folder.write("script", &run(&mut command(&format!("completions {shell}"))).stdout);
    let source = folder.file("script");
    let text = match shell {
        "bash" => format!(
            "source {source}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9; \
             COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             declare -F _clap_complete_scrapest_webhook >/dev/null || exit 3; complete -p scrapest-webhook >&2; \
             _clap_complete_scrapest_webhook scrapest-webhook \"${{COMP_WORDS[COMP_CWORD]}}\" '' 2>/dev/null; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        ),
        // The line editor calls the registered function; this prints its result.
        "zsh" => format!(
            "autoload -Uz compinit; compinit -D -u; source {source}; \
             print -r -- ${{_comps[scrapest-webhook]}} >&2; [[ -n ${{_comps[scrapest-webhook]}} ]] || exit 3; \
             _describe() {{ print -l -- ${{(P)${{@[-1]}}}} ${{(P)${{@[2]}}}} }}; compadd() {{ print -l -- $@ }}; \
             words=({line}); CURRENT=${{#words}}; ${{_comps[scrapest-webhook]}} 2>/dev/null"
        ),
        _ => format!("source {source}; complete -C '{line}'"),
    };
    let bare = match shell {
        "bash" => "--norc",
        "zsh" => "-f",
        _ => "--no-config",
    };
    let output = Command::new(shell)
        .args([bare, "-c", &text])
        .env("PATH", paths())
        .env("HOME", folder.file("."))
        .current_dir(folder.file("."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(3), "{shell}: nothing is registered: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn each_shell_completes_commands_flags_values_and_kinds() {
    for shell in ["bash", "zsh", "fish"] {
        for (line, expected) in [
            ("scrapest-webhook lis", "listen"),
            ("scrapest-webhook listen --forward-t", "--forward-timeout"),
            ("scrapest-webhook send --sender scrapeb", "scrapebadger"),
            ("scrapest-webhook send --event tweet.", "tweet.created"),
            ("scrapest-webhook trigger webhook.veri", "webhook.verified"),
        ] {
            let Some(offered) = offered(shell, line) else { break };
            assert!(offered.contains(expected), "{shell}: {line}: {offered:?}");
            assert!(!offered.contains("script"), "{shell} offers files: {offered:?}");
        }
    }
}

#[test]
fn the_tab_key_completes_in_an_interactive_shell() {
    for (shell, start) in [("bash", "bash --noprofile --norc -i"), ("zsh", "zsh -f -i")] {
        if !is_installed(shell) {
            continue;
        }
        let folder = Folder::new();
        folder.write("script", &run(&mut command(&format!("completions {shell}"))).stdout);
        let (paths, home) = (paths(), folder.file("."));
        let environment = [
            ("PATH", &*paths),
            ("HOME", &*home),
            ("TERM", "dumb"),
            ("EDITOR", "emacs"),
            ("VISUAL", "emacs"),
        ];
        let mut terminal = Terminal::run(200, start, &environment);
        if shell == "zsh" {
            terminal.types("autoload -Uz compinit; compinit -D -u\n");
        }
        // The terminal also shows the typed text, which must not look like the answer.
        terminal.types(&format!("source {}; echo rea''dy\n", folder.file("script")));
        terminal.shows("\nready\n");
        for (typed, expected) in [
            ("scrapest-webhook lis", "scrapest-webhook listen"),
            ("scrapest-webhook listen --forward-t", "scrapest-webhook listen --forward-timeout"),
            (
                "scrapest-webhook send --event tweet.c",
                "scrapest-webhook send --event tweet.created",
            ),
        ] {
            // Tab, then to the beginning of the line, so that the shell prints the completed line.
            terminal.types(&format!("{typed}\t\u{1}echo got: \n"));
            terminal.shows(&format!("\ngot: {expected}\n"));
        }
    }
}
