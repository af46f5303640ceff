//! Escapes untrusted text for a terminal, so that it cannot move the cursor, change colors or reverse lines.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal would interpret the character instead of showing it: control characters of both sets, and
/// marks that change the direction of text or are invisible.
fn is_hostile(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        // Format characters (Unicode category Cf) that reorder or hide text, and the separators of lines.
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
            true
        }
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        char => char.is_control(),
    }
}

/// Escapes every hostile character, for example as `\u{202e}`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |out, char| _ = write!(out, "\\u{{{:x}}}", u32::from(char)))
}

/// Escapes every hostile character as JSON does. They can only occur inside strings.
pub(crate) fn plain_json(text: &str) -> Cow<'_, str> {
    escaped(text, |out, char| {
        for unit in char.encode_utf16(&mut [0; 2]) {
            _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match is_hostile(char) {
            true => escape(&mut out, char),
            false => out.push(char),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::{plain, plain_json};

    #[test]
    fn control_and_direction_characters_never_reach_a_terminal() {
        let text = "a\u{1b}[2Jb\u{9b}31mc\u{7f}d\u{202e}e\u{2066}f\u{200b}g\rh\n";
        let shown = plain(text);
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{9b}31mc\\u{7f}d\\u{202e}e\\u{2066}f\\u{200b}g\\u{d}h\n");
        assert_eq!(plain("Grüße, 日本語 👍🏽"), "Grüße, 日本語 👍🏽");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = "[\"\u{9b}31m\u{7f}\u{202e}\u{e0041}\"]";
        let shown = plain_json(text);
        assert_eq!(shown, r#"["\u009b31m\u007f\u202e\udb40\udc41"]"#);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&shown), parse(text));
    }
}
