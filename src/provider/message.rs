//! What a sender is shown of a request: its headers, and its body once it was verified.

use std::fmt;

/// The headers of a request, whichever framework it came through.
#[derive(Clone, Copy)]
pub struct Headers<'a>(&'a dyn Lookup);

/// What is asked of a framework's header map: each value under a name, whatever the name's case.
pub(crate) trait Lookup {
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8]));
}

impl<'a> Headers<'a> {
    /// Of something that came without headers.
    #[cfg(feature = "sender-api")]
    pub(crate) fn none() -> Self {
        struct Empty;

        impl Lookup for Empty {
            fn each<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}
        }

        Self(&Empty)
    }

    pub(crate) fn new(lookup: &'a dyn Lookup) -> Self {
        Self(lookup)
    }

    /// The value of the header `name` (any case); the first, if it is repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut first = None;
        self.each(name, |value| first = first.or(Some(value)));
        first
    }

    /// Calls `found` with each value of the header `name` (any case), in the order of the request.
    pub fn each(&self, name: &str, mut found: impl FnMut(&'a [u8])) {
        self.0.each(name, &mut found);
    }
}

/// Without the values: a signature is among them.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

/// A request whose signature was right: its headers (which may not be signed) and its body.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    headers: Headers<'a>,
    body: &'a [u8],
    prefix_signed: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn new(headers: Headers<'a>, body: &'a [u8], prefix_signed: bool) -> Self {
        Self { headers, body, prefix_signed }
    }

    /// The value of a header; the first, if it is repeated.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.get(name)
    }

    /// The same as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// The body as it was signed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the signature fitted with one of the [`signed_prefixes`](super::Provider::signed_prefixes) that
    /// is not empty, so that what is in it is signed too.
    #[must_use]
    pub fn is_prefix_signed(&self) -> bool {
        self.prefix_signed
    }
}

/// Without the values: what came with the request is not for logs.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.body.len())
    }
}
