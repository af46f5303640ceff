//! The members of a JSON object, found and not decoded.
//!
//! A value is given as it is written. Whether it is JSON is for the caller to find out.

use std::borrow::Cow;

use memchr::memchr2;

use crate::json::surrogates;

/// What the caller makes of a member.
pub(super) enum Found {
    /// There may be more.
    Other,
    /// It is the last one that is looked for.
    Enough,
    /// It is not JSON.
    Broken,
}

/// Calls `found` with each member of the object that `json` is, until it has found enough: the member's name,
/// and its value as it is written. `None` if `json` is not one whole object, as far as it was read.
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

/// What has not been read yet.
struct Left<'a>(&'a [u8]);

impl<'a> Left<'a> {
    fn blanks(&mut self) {
        // Looked at first, because machines write none.
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
            // A word or a number, or not JSON.
            _ => self.0.iter().position(|byte| b",}] \n\r\t".contains(byte))?,
        };
        (end > 0).then(|| self.split(end))
    }
}

/// The end of the string that `json` begins with, and whether anything in it is escaped.
fn string_end(json: &[u8]) -> Option<(usize, bool)> {
    let mut at = json.starts_with(b"\"").then_some(1)?;
    let mut is_escaped = false;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some((at + 1, is_escaped));
        }
        // An escaped character is not the end.
        at += 2;
        is_escaped = true;
    }
}

/// The end of the object or array that `json` begins with. Brackets are counted, so no depth is too deep.
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
