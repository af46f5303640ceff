//! Guesses the intended secret, if the user has given it in a wrong form.

use std::collections::HashSet;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

pub(super) type RawSecret = Zeroizing<Vec<u8>>;

/// The maximum number of changes in one candidate.
const MOST_CHANGES: usize = 4;

/// The candidates, each with the mistake that it assumes, those with the fewest changes first.
pub(super) fn meant(raw: &[u8]) -> Vec<(String, RawSecret)> {
    let mut seen = HashSet::from([raw.to_vec()]);
    let mut found: Vec<(String, RawSecret)> = Vec::new();
    let mut last = vec![(String::new(), RawSecret::new(raw.to_vec()))];
    for _ in 0..MOST_CHANGES {
        let mut next = Vec::new();
        for (causes, secret) in &last {
            for (cause, change) in CHANGES {
                let Some(changed) = change(secret).filter(|changed| seen.insert(changed.clone()))
                else {
                    continue;
                };
                let separator = if causes.is_empty() { "" } else { "; and " };
                next.push((format!("{causes}{separator}{cause}"), RawSecret::new(changed)));
            }
        }
        found.extend(next.iter().cloned());
        last = next;
    }
    // The unchanged bytes are a candidate too: the last line end of a file may belong to the secret.
    found.push((
        "the file of the secret ends with a line end that belongs to the secret".to_owned(),
        RawSecret::new(raw.to_vec()),
    ));
    found
}

type Change = fn(&[u8]) -> Option<Vec<u8>>;

const CHANGES: [(&str, Change); 9] = [
    ("the secret has spaces or a line end around it: remove them", |secret| {
        Some(secret.trim_ascii().to_vec())
    }),
    ("the secret is in quotes: remove them", |secret| {
        [b'"', b'\'']
            .into_iter()
            .find_map(|quote| secret.strip_prefix(&[quote])?.strip_suffix(&[quote]))
            .map(<[u8]>::to_vec)
    }),
    ("the secret begins with a byte order mark: remove it", |secret| {
        Some(secret.strip_prefix(b"\xef\xbb\xbf")?.to_vec())
    }),
    ("the secret is in UTF-16: write it in UTF-8", |secret| {
        let units = |from: fn([u8; 2]) -> u16, bytes: &[u8]| {
            let (pairs, []) = bytes.as_chunks::<2>() else { return None };
            let units: Vec<u16> = pairs.iter().map(|pair| from(*pair)).collect();
            String::from_utf16(&units).ok().map(String::into_bytes)
        };
        match secret {
            [0xff, 0xfe, rest @ ..] => units(u16::from_le_bytes, rest),
            [0xfe, 0xff, rest @ ..] => units(u16::from_be_bytes, rest),
            [_, 0, ..] => units(u16::from_le_bytes, secret),
            [0, _, ..] => units(u16::from_be_bytes, secret),
            _ => None,
        }
    }),
    ("the secret is a line like NAME=value: only the value is the secret", |secret| {
        let at = secret.iter().position(|byte| *byte == b'=')?;
        let name = secret[..at].strip_prefix(b"export ").unwrap_or(&secret[..at]);
        let is_name = !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        (is_name && at + 1 < secret.len()).then(|| secret[at + 1..].to_vec())
    }),
    ("the secret has the prefix `whsec_`, which does not belong to it: remove it", |secret| {
        Some(secret.strip_prefix(b"whsec_")?.to_vec())
    }),
    ("the secret lacks its prefix `whsec_`", |secret| {
        (!secret.starts_with(b"whsec_") && secret.is_ascii()).then(|| [b"whsec_", secret].concat())
    }),
    (
        "the secret is given in hexadecimal, and the sender signs with the bytes that it encodes",
        |secret| HEXLOWER_PERMISSIVE.decode(secret).ok().filter(|bytes| !bytes.is_empty()),
    ),
    (
        "the secret is given in base64, and the sender signs with the bytes that it encodes",
        |secret| {
            let encodings = [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD];
            let decoded = encodings.iter().find_map(|encoding| encoding.decode(secret).ok());
            decoded.filter(|bytes| !bytes.is_empty())
        },
    ),
];
