//! Prints a signed request as a command for a POSIX shell.

use std::fmt::Write;

use data_encoding::BASE64;
use scrapest_webhook::testing::SignedRequest;

use crate::terminal;

/// On Linux an argument may have at most 128 KiB. The shell's own `printf` has no such limit.
const LONGEST_ARGUMENT: usize = 100_000;

/// Returns the command, which sends exactly the signed bytes.
pub(crate) fn command(url: &str, signed: &SignedRequest) -> String {
    let body = signed.body();
    let literal = std::str::from_utf8(body).ok().filter(|text| {
        let is_shown = !text.contains(['\0', '\r']) && terminal::plain(text) == *text;
        // curl treats an argument that begins with @ as the name of a file.
        is_shown && text.len() <= LONGEST_ARGUMENT && !text.starts_with('@')
    });
    let mut command = String::new();
    if literal.is_none() {
        _ = write!(command, "printf %s {} | base64 -d | ", BASE64.encode(body));
    }
    _ = write!(command, "curl -i {}", quoted(url));
    for (name, value) in signed.headers() {
        _ = write!(command, " \\\n  -H {}", quoted(&format!("{name}: {value}")));
    }
    let data = literal.map_or("@-".to_owned(), quoted);
    _ = writeln!(command, " \\\n  --data-binary {data}");
    command
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
