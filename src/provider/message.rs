//! The parts of a request that a provider reads: its headers, its query, and its body after verification.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// The headers of a request, in any framework.
#[derive(Clone, Copy)]
pub struct Headers<'a>(&'a dyn Lookup);

/// A framework's header map.
pub(crate) trait Lookup {
    /// Calls `found` with each value of the header `name`, in any case.
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8]));

    /// Calls `found` with each name, in lower case, and each of its values. One pass finds several headers.
    fn all<'a>(&'a self, found: &mut dyn FnMut(&str, &'a [u8]));
}

impl<'a> Headers<'a> {
    /// The headers of something that has none.
    #[cfg(feature = "sender-api")]
    pub(crate) fn none() -> Self {
        struct Empty;

        impl Lookup for Empty {
            fn each<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

            fn all<'a>(&'a self, _: &mut dyn FnMut(&str, &'a [u8])) {}
        }

        Self(&Empty)
    }

    pub(crate) fn new(lookup: &'a dyn Lookup) -> Self {
        Self(lookup)
    }

    /// Returns the value of the header `name` (in any case). If it is repeated, returns the first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let mut first = None;
        self.each(name, |value| first = first.or(Some(value)));
        first
    }

    /// Calls `found` with each value of the header `name` (in any case), in the order of the request.
    pub fn each(&self, name: &str, mut found: impl FnMut(&'a [u8])) {
        self.0.each(name, &mut found);
    }

    pub(crate) fn all(&self, mut found: impl FnMut(&str, &'a [u8])) {
        self.0.all(&mut found);
    }
}

/// Omits the values, because they include a signature.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

/// The query of a request: the part of its URL after `?`.
#[derive(Clone, Copy)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(query: &'a str) -> Self {
        Self(query)
    }

    /// Returns the value of the parameter `name`, percent-decoded. `None` if it is missing or repeated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
        self.0.split('&').filter_map(move |parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let key = Cow::from(percent_decode_str(key));
            (*key == *name.as_bytes()).then(|| percent_decode_str(value).into())
        })
    }
}

/// Omits the values, because they may include a token.
impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(..)")
    }
}

/// A request whose signature is valid: its body, and its headers, which may be unsigned.
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

    /// Returns the value of a header. If it is repeated, returns the first.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.get(name)
    }

    /// Returns the value of a header as text. `None` if it is not UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// Returns the body as it was signed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the signature is valid for one of the [`signed_prefixes`](super::Provider::signed_prefixes) that is
    /// not empty, so that the content of that prefix is signed too.
    #[must_use]
    pub fn is_prefix_signed(&self) -> bool {
        self.prefix_signed
    }
}

/// Omits the values, because the content of a request must not be logged.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.body.len())
    }
}
