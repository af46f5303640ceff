//! Finds the members of a JSON object without decoding them.
//!
//! A value is returned as it is written. The caller has to check that it is JSON.

use std::borrow::Cow;

use memchr::memchr2;

use crate::json::surrogates;

/// The caller's decision about a member.
pub(super) enum Found {
    /// Continue with the next member.
    Other,
    /// Stop: all requested members were found.
    Enough,
    /// The member is not JSON.
    Broken,
}

/// Calls `found` with each member of the object `json` until it returns [`Found::Enough`]: with the member's name,
/// and its value as it is written. Returns `None` if the part that was read is not a valid object.
pub(super) fn members<'a>(
    json: &'a [u8],
    mut found: impl FnMut(&[u8], &'a [u8]) -> Found,
) -> Option<()> {
    let mut left = Left(json);
    left.blanks();
    left.take(b'{')?;
    left.blanks();
    if left.take(b'}').is_none() {
        loop {
            let name = left.name()?;
            left.blanks();
            left.take(b':')?;
            left.blanks();
            match found(&name, left.value()?) {
                Found::Other => {}
                Found::Enough => return Some(()),
                Found::Broken => return None,
            }
            left.blanks();
            if left.take(b',').is_none() {
                break;
            }
            left.blanks();
        }
        left.take(b'}')?;
    }
    left.blanks();
    left.0.is_empty().then_some(())
}

/// The part that has not been read yet.
struct Left<'a>(&'a [u8]);

impl<'a> Left<'a> {
    fn blanks(&mut self) {
        // Checked first, because generated JSON rarely has whitespace.
        while let [..=b' ', ..] = self.0
            && let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.0
        {
            self.0 = rest;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn split(&mut self, at: usize) -> &'a [u8] {
        let (before, after) = self.0.split_at(at);
        self.0 = after;
        before
    }

    /// The next name, decoded.
    fn name(&mut self) -> Option<Cow<'a, [u8]>> {
        let (end, is_escaped) = string_end(self.0)?;
        let written = self.split(end);
        match is_escaped {
            false => Some(written[1..end - 1].into()),
            true => surrogates::parse(written).ok().map(|name: String| name.into_bytes().into()),
        }
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let end = match self.0.first()? {
            b'"' => string_end(self.0)?.0,
            b'{' | b'[' => nested_end(self.0)?,
            // A literal or a number, or something that is not JSON.
            _ => self.0.iter().position(|byte| b",}] \n\r\t".contains(byte))?,
        };
        (end > 0).then(|| self.split(end))
    }
}

/// The end of the string at the start of `json`, and whether the string has escapes.
fn string_end(json: &[u8]) -> Option<(usize, bool)> {
    let mut at = json.starts_with(b"\"").then_some(1)?;
    let mut is_escaped = false;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some((at + 1, is_escaped));
        }
        // An escaped character does not end the string.
        at += 2;
        is_escaped = true;
    }
}

/// The end of the object or array at the start of `json`. Counts brackets instead of recursing, so any depth is
/// safe.
fn nested_end(json: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => {
                at += string_end(&json[at..])?.0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
