//! The parts of a request that a sender's rules look at: its headers, its query, and its body once it was verified.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

/// The headers of a request, whatever the framework.
#[derive(Clone, Copy)]
pub struct Headers<'a>(&'a dyn Lookup);

/// A framework's header map.
pub(crate) trait Lookup {
    /// Each value under a name, whatever the name's case.
    fn each<'a>(&'a self, name: &str, found: &mut dyn FnMut(&'a [u8]));

    /// Each name, in lower case, with each of its values: one pass finds several headers.
    fn all<'a>(&'a self, found: &mut dyn FnMut(&str, &'a [u8]));
}

impl<'a> Headers<'a> {
    /// Of something that came without headers.
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

    pub(crate) fn all(&self, mut found: impl FnMut(&str, &'a [u8])) {
        self.0.all(&mut found);
    }
}

/// Without the values: a signature is among them.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Headers(..)")
    }
}

/// The query of a request, the part of its address after `?`.
#[derive(Clone, Copy)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(crate) fn new(query: &'a str) -> Self {
        Self(query)
    }

    /// The value of the parameter `name`, percent-decoded; `None` if it is missing, or there more than once.
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

/// Without the values: a token may be among them.
impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Query(..)")
    }
}

/// A request whose signature was right: its headers (which need not be signed) and its body.
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

    /// The value of a header as text; `None` if it is not UTF-8.
    #[must_use]
    pub fn header_str(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// The body as it was signed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the signature was right for one of the [`signed_prefixes`](super::Provider::signed_prefixes) that
    /// is not empty, so that the content of that prefix is signed too.
    #[must_use]
    pub fn is_prefix_signed(&self) -> bool {
        self.prefix_signed
    }
}

/// Without the values: the content of a request is not for logs.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.body.len())
    }
}
