//! Detects common mistakes in secrets and secret files.

use super::is_blank;

/// Returns why this line of a file is clearly not a secret.
pub(super) fn in_file(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(b"\xef\xbb\xbf") {
        return Some("begins with a byte order mark, expected UTF-8 without one");
    }
    if is_utf_16(line) {
        return Some("is UTF-16, expected UTF-8");
    }
    let text = line.trim_ascii_start();
    if text.starts_with(b"#") {
        return Some(
            "has a comment line, expected only the secret (a secret that begins with # cannot be read from a \
             file)",
        );
    }
    is_assignment(text).then_some("has the form NAME=value, expected the value alone")
}

/// Returns an unusual property of a secret that is probably a mistake.
pub(super) fn in_secret(secret: &[u8]) -> Option<&'static str> {
    // A secret of random bytes may begin and end with any byte.
    let text = std::str::from_utf8(secret).ok()?;
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.starts_with('\u{feff}') {
        Some("begins with a byte order mark")
    } else if text.contains(['\r', '\n']) {
        Some("contains a line feed")
    } else if quoted('"') || quoted('\'') {
        Some("is in quotes")
    } else if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        Some("begins or ends with whitespace")
    } else {
        None
    }
}

/// Whether the line has a UTF-16 byte order mark, or a zero in every second byte, as ASCII text in UTF-16 has.
fn is_utf_16(line: &[u8]) -> bool {
    let (pairs, _) = line.as_chunks::<2>();
    let zero_in = |place: usize| pairs.len() > 1 && pairs.iter().all(|pair| pair[place] == 0);
    let marked = line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff");
    (marked || zero_in(0) || zero_in(1)) && !is_blank(line)
}

/// Whether the line is a variable name, `=` and a value. Base64 has `=` only at its end.
fn is_assignment(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"export ").unwrap_or(line).trim_ascii_start();
    let Some(end) = line.iter().position(|byte| *byte == b'=') else { return false };
    let (name, value) = (line[..end].trim_ascii_end(), &line[end + 1..]);
    let all = |is: fn(&u8) -> bool| name.iter().all(|byte| is(byte) || *byte == b'_');
    name.len() > 2
        && (all(u8::is_ascii_uppercase) || all(u8::is_ascii_lowercase))
        && value.iter().any(|byte| *byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::{in_file, in_secret};

    #[test]
    fn lines_that_are_not_secrets_are_recognised() {
        for (line, mistake) in [
            (&b"# the secret of November"[..], "comment line"),
            (b"  #indented", "comment line"),
            (b"\xef\xbb\xbfwhsec_3fb1c8a0d94e4a7f", "byte order mark"),
            (b"\xff\xfew\0h\0s\0e\0c\0_\0", "UTF-16"),
            (b"\xfe\xff\0w\0h\0s\0e\0c", "UTF-16"),
            (b"w\0h\0s\0e\0c\0_\0\x33\0", "UTF-16"),
            (b"WEBHOOK_SECRET=whsec_3fb1c8a0", "NAME=value"),
            (b"export SECRET = whsec_3fb1c8a0", "NAME=value"),
            (b"secret=whsec_3fb1c8a0", "NAME=value"),
        ] {
            let found = in_file(line).unwrap_or_else(|| panic!("{}", line.escape_ascii()));
            assert!(found.contains(mistake), "{} {found}", line.escape_ascii());
        }
        for line in [
            &b"whsec_3fb1c8a0d94e4a7fb2c6"[..],
            b"c2VjcmV0c2VjcmV0==",
            b"SECRETSECRETSECRET==",
            b"aB3=dEf5gHi7",
            b"a#b c",
            b"\x8f\x00\x91\xfe\x00\x00\x17\x20\n\x03",
        ] {
            assert_eq!(in_file(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn an_unusual_secret_is_recognised() {
        for (secret, what) in [
            ("whsec_3fb1c8a0\n", "line feed"),
            ("whsec_3fb1\r\nwhsec_3fb2", "line feed"),
            (" whsec_3fb1c8a0", "whitespace"),
            ("whsec_3fb1c8a0\t", "whitespace"),
            ("\"whsec_3fb1c8a0\"", "quotes"),
            ("'whsec_3fb1c8a0'", "quotes"),
            ("\u{feff}whsec_3fb1c8a0", "byte order mark"),
        ] {
            assert!(in_secret(secret.as_bytes()).unwrap().contains(what), "{secret:?}");
        }
        for secret in [&b"correct horse battery"[..], b"a'b\"c", b"\x20\xff\n"] {
            assert_eq!(in_secret(secret), None);
        }
    }
}
