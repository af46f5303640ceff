//! A request of arbitrary bytes, including ones that no client would send.

use std::sync::atomic::{AtomicUsize, Ordering};

use scrapest_webhook::testing::{self, SignedRequest};

use crate::{PATH, SECRET, client};

/// Headers of any bytes, number and order, and a body that need not match them.
#[derive(Clone)]
pub struct Raw {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Raw {
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { headers: Vec::new(), body: body.into() }
    }

    /// Scrapest's signature over the body alone, and no other header.
    pub fn scrapest(body: impl Into<Vec<u8>>) -> Self {
        let raw = Self::new(body);
        let signature = signature(SECRET, &raw.body);
        raw.with("x-scrapest-signature", signature)
    }

    /// Scrapest's signature over `<time>.<body>`.
    pub fn scrapest_at(time: impl AsRef<[u8]>, body: impl Into<Vec<u8>>) -> Self {
        let (time, raw) = (time.as_ref(), Self::new(body));
        let signature = signature(SECRET, &[time, b".", &raw.body].concat());
        raw.with("x-scrapest-timestamp", time).with("x-scrapest-signature", signature)
    }

    /// ScrapeBadger's contract 1: the signature, and no other header.
    pub fn badger(body: impl Into<Vec<u8>>) -> Self {
        let raw = Self::new(body);
        let signature = signature(SECRET, &raw.body);
        raw.with("x-scrapebadger-signature", signature)
    }

    /// ScrapeBadger's contract 2: the signature, and no other header.
    pub fn badger_2(body: impl Into<Vec<u8>>) -> Self {
        let raw = Self::new(body);
        let signature = signature(SECRET, &raw.body);
        raw.with("x-signature-256", signature)
    }

    /// Adds a header, even if there is one of this name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces all headers of this name.
    #[must_use]
    pub fn replacing(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).with(name, value)
    }

    /// The same headers with another body.
    #[must_use]
    pub fn over(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Rewrites each header's name with `spell`.
    #[must_use]
    pub fn spelled(mut self, spell: impl Fn(&str) -> String) -> Self {
        self.headers.iter_mut().for_each(|(name, _)| *name = spell(name));
        self
    }

    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name));
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(present, _)| present.eq_ignore_ascii_case(name))
    }

    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The request on a connection that is closed after the answer.
    pub fn text(&self) -> Vec<u8> {
        self.written(true, self.body.len(), &self.body)
    }

    /// The request on a connection that stays open.
    pub fn text_kept_alive(&self) -> Vec<u8> {
        self.written(false, self.body.len(), &self.body)
    }

    /// Announces a body of this length, but sends none of it.
    pub fn text_without_body(&self, announced: usize) -> Vec<u8> {
        self.written(true, announced, &[])
    }

    fn written(&self, close: bool, length: usize, body: &[u8]) -> Vec<u8> {
        let mut text = match close {
            true => client::head("POST", std::iter::empty()),
            false => format!("POST {} HTTP/1.1\r\nhost: localhost\r\n", PATH).into_bytes(),
        };
        for (name, value) in &self.headers {
            text.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        text.extend(format!("content-length: {length}\r\n\r\n").bytes());
        text.extend_from_slice(body);
        text
    }
}

impl From<SignedRequest> for Raw {
    fn from(request: SignedRequest) -> Self {
        let headers = request.headers();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { headers, body: request.body().to_vec() }
    }
}

/// `sha256=` and the tag of these bytes in hex.
pub fn signature(secret: impl Into<scrapest_webhook::Secret>, bytes: &[u8]) -> String {
    let request = testing::scrapest(secret).with_body(bytes.to_vec()).sign();
    let mut headers = request.headers();
    headers.find(|(name, _)| *name == "x-scrapest-signature").unwrap().1.to_owned()
}

/// A number that is unique in this process.
pub fn nonce() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
