//! Lone surrogates, like `"\ud83d"`: half of a character, which remains if a text is truncated in the middle of an
//! emoji. JavaScript and Python write and accept them. UTF-8 cannot represent them, and `serde_json` refuses them.

use memchr::memchr;
use serde::de::DeserializeOwned;

const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// Parses a small value after replacing its lone surrogates.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match replaced(json) {
        Some(json) => serde_json::from_slice(&json),
        None => Err(error),
    })
}

/// A copy of `json` with each lone surrogate replaced by U+FFFD. `None` if there is none. The copy has the same
/// length, so positions in the copy are valid in `json`.
pub(crate) fn replaced(json: &[u8]) -> Option<Vec<u8>> {
    let mut copy: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(backslash) = memchr(b'\\', &json[at..]) {
        at += backslash;
        at += match (unit(&json[at..]), json.get(at + 6..).and_then(unit)) {
            (None, _) => 2,
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                let copy = copy.get_or_insert_with(|| json.to_vec());
                copy[at..at + 6].copy_from_slice(REPLACEMENT);
                6
            }
            (Some(_), _) => 6,
        };
        if at >= json.len() {
            break;
        }
    }
    copy
}

/// The UTF-16 code unit of the escape at the start of `json`.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::replaced;

    fn text(json: &str) -> Option<String> {
        replaced(json.as_bytes()).map(|json| String::from_utf8(json).unwrap())
    }

    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""a\uD83Db""#, r#""a\ufffdb""#),
            (r#""\ude00""#, r#""\ufffd""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
        ] {
            assert_eq!(text(json).as_deref(), Some(expected), "{json}");
            assert_eq!(json.len(), expected.len());
        }
    }

    #[test]
    fn other_json_is_left_unchanged() {
        for json in [
            "",
            "{}",
            r#""\ud83d\ude00 \u00e9 \n""#,
            r#""\\ud83d""#,
            r#""\ud83""#,
            r#""\uzzzz""#,
            "\\",
            "\\u",
            "\\ud83",
        ] {
            assert_eq!(text(json), None, "{json}");
        }
    }
}
