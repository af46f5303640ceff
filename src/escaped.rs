//! Text from outside, made safe for a log line.

use std::fmt::{self, Write};

/// The longest id or kind in a log, in bytes before escaping.
const LONGEST: usize = 128;

/// Text from outside, with control characters escaped, and truncated. Its `Debug` adds quotes.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = LONGEST;
        for char in self.0.chars() {
            let Some(rest) = left.checked_sub(char.len_utf8()) else {
                return f.write_char('…');
            };
            left = rest;
            // `escape_debug` escapes every control character, so no ANSI sequence stays intact.
            write!(f, "{}", char.escape_debug())?;
        }
        Ok(())
    }
}
