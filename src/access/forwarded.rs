//! Finds the client that proxies name in `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address of its own client, so the nearest proxy wrote the end of a list, and anyone may
//! have written its beginning. The list is read from its end, as long as the addresses belong to trusted proxies. An
//! address that cannot be read causes a refusal and is not skipped. A proxy writes one of the two headers and may
//! pass the other one on: if both are present and no setting chooses one, they must agree.

use std::net::{IpAddr, SocketAddr};

use super::networks::Networks;
use crate::provider::Headers;

const LIST: &str = "x-forwarded-for";
const STANDARD: &str = "forwarded";

/// Why the client is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The header is missing.
    Unsaid,
    /// The header cannot be read, or the two headers contradict each other.
    Unreadable,
}

/// The header that the proxies write. If a setting names it, only that one is read.
#[derive(Clone, Debug, Default)]
pub(super) enum Written {
    /// Either header.
    #[default]
    Either,
    Standard,
    /// A header of this name with one address or a list of them.
    List(Box<str>),
}

impl Written {
    /// Returns `None` if `name` is not a valid header name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        let is_name = token(&name).is_some_and(|(_, rest)| rest.is_empty());
        match &*name {
            STANDARD => Some(Self::Standard),
            _ => is_name.then(|| Self::List(name.into())),
        }
    }

    pub(super) fn is_default(&self) -> bool {
        matches!(self, Self::Either)
    }

    /// Returns the nearest address that does not belong to a trusted proxy, or the farthest one if all do.
    pub(super) fn client(
        &self,
        headers: Headers<'_>,
        trusted: &Networks,
    ) -> Result<IpAddr, Unknown> {
        let said = match self {
            Self::Standard => by_standard(headers, trusted)?,
            Self::List(name) => by_list(headers, name, trusted)?,
            Self::Either => {
                match (by_list(headers, LIST, trusted)?, by_standard(headers, trusted)?) {
                    (Some(one), Some(other)) if one != other => return Err(Unknown::Unreadable),
                    (one, other) => one.or(other),
                }
            }
        };
        said.ok_or(Unknown::Unsaid)
    }
}

fn by_list(
    headers: Headers<'_>,
    name: &str,
    trusted: &Networks,
) -> Result<Option<IpAddr>, Unknown> {
    let lines = lines(headers, name);
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(',').map(address));
    (!lines.is_empty()).then(|| nearest_stranger(hops, trusted)).transpose()
}

/// Parses each line separately, starting with the last: a proxy may append its own line to those of its client, and a
/// quote that the client leaves open must not extend into it.
fn by_standard(headers: Headers<'_>, trusted: &Networks) -> Result<Option<IpAddr>, Unknown> {
    let lines = lines(headers, STANDARD);
    let hops = lines.iter().rev().flat_map(|line| match elements(line) {
        Some(nodes) => nodes.into_iter().rev().map(|node| address(node?)).collect(),
        None => vec![None],
    });
    (!lines.is_empty()).then(|| nearest_stranger(hops, trusted)).transpose()
}

/// Whether a header names another client.
#[cfg(feature = "throttle")]
pub(super) fn is_said(headers: Headers<'_>) -> bool {
    [LIST, STANDARD].iter().any(|name| headers.get(name).is_some())
}

/// Returns the content of both headers, for the log.
pub(super) fn said(headers: Headers<'_>) -> String {
    let mut said = Vec::new();
    for name in [LIST, STANDARD] {
        headers.each(name, |line| said.push(format!("{name}: {}", String::from_utf8_lossy(line))));
    }
    said.join(", ")
}

/// Returns the header's lines. A line that is not UTF-8 becomes `?`, which is not an address and is refused later.
fn lines<'a>(headers: Headers<'a>, name: &str) -> Vec<&'a str> {
    let mut lines = Vec::new();
    headers.each(name, |line| lines.push(std::str::from_utf8(line).unwrap_or("?")));
    lines
}

fn nearest_stranger(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: &Networks,
) -> Result<IpAddr, Unknown> {
    let mut farthest = Err(Unknown::Unreadable);
    for hop in hops {
        let hop = hop.ok_or(Unknown::Unreadable)?;
        if !trusted.contain(hop) {
            return Ok(hop);
        }
        farthest = Ok(hop);
    }
    farthest
}

/// Parses `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, also with a port, but not `unknown` or a name.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse().map(IpAddr::V6).ok(),
        None => text.parse().or_else(|_| text.parse().map(|at: SocketAddr| at.ip())).ok(),
    };
    address.map(|address| address.to_canonical())
}

/// Returns the node of `for` in each element, or `None` if the line violates the grammar. Quoted values, such as a
/// host, come from the client and may contain commas, so the whole grammar is parsed.
fn elements(list: &str) -> Option<Vec<Option<&str>>> {
    let mut elements = vec![None];
    let mut rest = blank(list);
    loop {
        let (name, after) = token(rest)?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        if name.eq_ignore_ascii_case("for") && elements.last_mut()?.replace(value).is_some() {
            return None;
        }
        let after = blank(after);
        rest = match after.as_bytes().first() {
            None => return Some(elements),
            Some(b';') => blank(&after[1..]),
            Some(b',') => {
                elements.push(None);
                blank(&after[1..])
            }
            Some(_) => return None,
        };
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
    let end = text.find(|char| !is_token(char)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Returns a token or the content of a quoted string. Escapes are kept, because no address has one.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else { return token(text) };
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}
