//! The signatures in a header's value.

use std::fmt;

/// One to four signatures that a request carries, each the 32 bytes of an HMAC-SHA256.
///
/// ```
/// use scrapest_webhook::provider::Signatures;
///
/// // As in Standard Webhooks: `v1,<base64> v1,<base64>`, and nothing else.
/// fn signatures(value: &[u8]) -> Option<Signatures> {
///     let items = value.split(|byte| *byte == b' ');
///     Signatures::list(items, |item| Signatures::base64(item.strip_prefix(b"v1,")?))
/// }
///
/// let one = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=";
/// assert_eq!(signatures(one.as_bytes()).unwrap().len(), 1);
/// assert_eq!(signatures(format!("{one} {one}").as_bytes()).unwrap().len(), 2);
/// assert!(signatures(format!("{one} v2,{one}").as_bytes()).is_none());
/// ```
#[derive(Clone)]
pub struct Signatures(Inner);

/// Usually one, which is stored inline.
#[derive(Clone)]
enum Inner {
    One([u8; 32]),
    Several(Box<[[u8; 32]]>),
}

#[allow(clippy::len_without_is_empty, reason = "it is never empty")]
impl Signatures {
    /// The maximum number of signatures in a request.
    pub const MOST: usize = 4;

    /// Parses 64 hexadecimal digits, of either case. Returns `None` for anything else.
    #[must_use]
    pub fn hex(digits: &[u8]) -> Option<Self> {
        decode_hex(digits).map(|signature| Self(Inner::One(signature)))
    }

    /// Parses 44 characters of standard base64, including the padding. Returns `None` for anything else.
    #[must_use]
    pub fn base64(text: &[u8]) -> Option<Self> {
        decode_base64(text).map(|signature| Self(Inner::One(signature)))
    }

    /// Parses each item of a list with `read`. Returns `None` if the list is empty, has more than
    /// [`MOST`](Self::MOST) items, or has an item in another form: a request that mixes schemes is refused.
    #[must_use]
    pub fn list<'a>(
        items: impl IntoIterator<Item = &'a [u8]>,
        mut read: impl FnMut(&'a [u8]) -> Option<Self>,
    ) -> Option<Self> {
        let mut all = Vec::new();
        for item in items {
            all.extend_from_slice(read(item)?.as_slice());
            if all.len() > Self::MOST {
                return None;
            }
        }
        match *all {
            [] => None,
            [one] => Some(Self(Inner::One(one))),
            _ => Some(Self(Inner::Several(all.into()))),
        }
    }

    /// Returns the number of signatures: 1 to [`MOST`](Self::MOST).
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn as_slice(&self) -> &[[u8; 32]] {
        match &self.0 {
            Inner::One(one) => std::slice::from_ref(one),
            Inner::Several(several) => several,
        }
    }
}

/// Omits the signatures.
impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signatures({})", self.len())
    }
}

/// Decodes 64 hex digits of either case into 32 bytes, on the stack. It has no branch or table, so that the
/// compiler can decode many digits at a time: 135 instructions, where `hex::decode_to_slice` takes 944.
fn decode_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = digits.try_into().ok()?;
    let (mut nibbles, mut strange) = ([0; 64], 0);
    for (nibble, digit) in nibbles.iter_mut().zip(digits) {
        let number = digit.wrapping_sub(b'0');
        let letter = (digit | 0x20).wrapping_sub(b'a');
        let [is_number, is_letter] = [number < 10, letter < 6].map(u8::from);
        *nibble = number.wrapping_mul(is_number) | letter.wrapping_add(10).wrapping_mul(is_letter);
        strange |= 1 ^ (is_number | is_letter);
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks().0) {
        *byte = high << 4 | low;
    }
    (strange == 0).then_some(bytes)
}

/// Decodes 43 characters of the standard alphabet and one `=` into 32 bytes. The two unused bits must be 0, so
/// that a signature has only one encoding. A library for base64 would be one more dependency of every build.
fn decode_base64(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 44] = text.try_into().ok()?;
    let [characters @ .., b'='] = text else { return None };
    let mut bytes = [0; 32];
    let mut free = bytes.iter_mut();
    let (mut bits, mut count) = (0_u32, 0);
    for character in characters {
        let six = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            *free.next()? = u8::try_from(bits >> count).ok()?;
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    #[test]
    fn hex_digits_of_either_case_are_accepted_and_other_bytes_refused() {
        for place in 0..64 {
            for byte in 0..=u8::MAX {
                let mut digits =
                    *b"0123456789abcdefABCDEF00112233445566778899aAbBcCdDeEfF0918273645";
                digits[place] = byte;
                let pairs = digits.as_chunks::<2>().0.iter();
                let expected: Option<Vec<u8>> = pairs
                    .map(|pair| {
                        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
                        u8::try_from(high? * 16 + low?).ok()
                    })
                    .collect();
                assert_eq!(decode_hex(&digits).map(Vec::from), expected, "{byte:#x} at {place}");
            }
        }
        assert_eq!(decode_hex(&[b'0'; 63]), None);
        assert_eq!(decode_hex(&[b'0'; 65]), None);
    }

    #[test]
    fn base64_is_read_as_the_library_reads_it() {
        for seed in 0..=u8::MAX {
            let bytes: [u8; 32] =
                std::array::from_fn(|place| seed.wrapping_mul(31) ^ (place as u8).wrapping_mul(73));
            let text = BASE64.encode(&bytes);
            assert_eq!(decode_base64(text.as_bytes()), Some(bytes));
            let mut changed = text.into_bytes();
            for place in 0..44 {
                let right = std::mem::replace(&mut changed[place], seed);
                let expected = BASE64.decode(&changed).ok().filter(|bytes| bytes.len() == 32);
                let found = decode_base64(&changed).map(Vec::from);
                assert_eq!(found, expected, "{seed:#x} at {place}");
                changed[place] = right;
            }
        }
        for length in [0, 43, 45, 88] {
            assert_eq!(decode_base64(&vec![b'A'; length]), None, "{length}");
        }
    }

    #[test]
    fn a_list_has_one_to_four_items_of_one_form() {
        let item = [b"v1,".to_vec(), BASE64.encode(&[7; 32]).into_bytes()].concat();
        let read = |items: &[&[u8]]| {
            let items = items.iter().copied();
            let list = Signatures::list(items, |i| Signatures::base64(i.strip_prefix(b"v1,")?));
            list.map(|list| list.len())
        };
        for count in 0..=6 {
            let expected = (1..=4).contains(&count).then_some(count);
            assert_eq!(read(&vec![&*item; count]), expected);
        }
        for other in [&b""[..], b"v1", b"v1,", b"v1a,AAAA", &item[1..], &[&item[..], b"="].concat()]
        {
            assert_eq!(read(&[&item, other]), None, "{other:?}");
            assert_eq!(read(&[other]), None, "{other:?}");
        }
    }
}
