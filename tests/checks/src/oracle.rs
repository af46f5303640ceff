//! Decides whether a signature is genuine, with another HMAC implementation than the crate's.

use std::sync::LazyLock;

use http::HeaderMap;
use ring::hmac::{self, HMAC_SHA256, Key};

pub const SECRET: &str = "whsec_3fb1c8a0d94e4a7fb2c6";

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(HMAC_SHA256, SECRET.as_bytes()));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Scrapest,
    ScrapeBadger,
}

impl Sender {
    pub const ALL: [Self; 2] = [Self::Scrapest, Self::ScrapeBadger];

    pub fn signature_headers(self) -> &'static [&'static str] {
        match self {
            Self::Scrapest => &["x-scrapest-signature"],
            Self::ScrapeBadger => &["x-scrapebadger-signature", "x-signature-256"],
        }
    }

    /// The signature of a request that has exactly one signature, if it is correct.
    pub fn true_signature(self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let mut given = self.signature_headers().iter().flat_map(|name| headers.get_all(*name));
        let given = match (given.next(), given.next()) {
            (Some(only), None) => only.as_bytes(),
            _ => return None,
        };
        let mut right = vec![signature(&[body])];
        if self == Self::Scrapest
            // If the header is repeated, the first one counts, as documented.
            && let Some(time) = headers.get("x-scrapest-timestamp")
        {
            right.push(signature(&[time.as_bytes(), b".", body]));
        }
        // The digits may be upper or lower case, the name of the algorithm may not.
        let spelled = given.strip_prefix(b"sha256=")?;
        right.into_iter().find(|right| spelled.eq_ignore_ascii_case(&right.as_bytes()[7..]))
    }
}

/// The signature in the form of a sender's header.
pub fn signature(signed: &[&[u8]]) -> String {
    let mut context = hmac::Context::with_key(&KEY);
    signed.iter().for_each(|part| context.update(part));
    let tag = context.sign();
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}
