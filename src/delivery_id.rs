//! The id of a delivery. Every delivery has one, and few handlers use it.

use std::fmt;

use crate::escaped::Escaped;

/// A little more than the length of a UUID as text.
const SHORT: usize = 38;

/// An id of the usual length is stored inline, which saves an allocation and about 100 instructions per delivery.
/// Other crates' inline strings have room for 24 bytes, and a UUID has 36.
#[derive(Clone)]
pub(crate) enum DeliveryId {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl DeliveryId {
    /// Bytes that are not UTF-8 are replaced.
    pub(crate) fn new(id: &[u8]) -> Self {
        let text = match std::str::from_utf8(id) {
            Ok(text) => text,
            Err(_) => return Self::Long(String::from_utf8_lossy(id).into()),
        };
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(id);
                Self::Short { length, bytes }
            }
            _ => Self::Long(text.into()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // The bytes were checked to be UTF-8 before they were copied.
            Self::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or_default()
            }
            Self::Long(text) => text,
        }
    }
}

/// Escaped and truncated, because the id comes from outside.
impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.as_str()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_length_is_kept_unchanged() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 10_000] {
            let id = "é1".repeat(length).chars().take(length).collect::<String>();
            for id in [id.as_str(), &"x".repeat(length)] {
                assert_eq!(DeliveryId::new(id.as_bytes()).as_str(), id);
            }
        }
        assert_eq!(DeliveryId::new(b"a\xffb").as_str(), "a\u{fffd}b");
        assert!(size_of::<Option<DeliveryId>>() <= 40);
    }
}
