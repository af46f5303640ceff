//! The client that proxies name: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends the address of its own client, so the end of a list was written by the nearest proxy, and
//! the beginning by anyone. The list is read from its end, as long as the addresses belong to trusted proxies.
//! An address that cannot be read is refused, not skipped. A proxy writes one of the two headers and may pass
//! the other one on: where both are present and no setting says which one counts, they must agree.

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
    /// It cannot be read, or the two contradict each other.
    Unreadable,
}

/// The header that the proxies write, if a setting says so: only that one is read.
#[derive(Clone, Debug, Default)]
pub(super) enum Written {
    /// Whichever is there.
    #[default]
    Either,
    Standard,
    /// A list of addresses, or one, under this name.
    List(Box<str>),
}

impl Written {
    /// `None` if that is not the name of a header.
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

    /// The nearest address that does not belong to a trusted proxy; if all do, the farthest.
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

/// Each line is parsed by itself, from the last one on: a proxy may append a line to those of its client, and
/// a quote that the client leaves open must not swallow it.
fn by_standard(headers: Headers<'_>, trusted: &Networks) -> Result<Option<IpAddr>, Unknown> {
    let lines = lines(headers, STANDARD);
    let hops = lines.iter().rev().flat_map(|line| match elements(line) {
        Some(nodes) => nodes.into_iter().rev().map(|node| address(node?)).collect(),
        None => vec![None],
    });
    (!lines.is_empty()).then(|| nearest_stranger(hops, trusted)).transpose()
}

/// Whether there is a header that names somebody else as the client.
#[cfg(feature = "throttle")]
pub(super) fn is_said(headers: Headers<'_>) -> bool {
    [LIST, STANDARD].iter().any(|name| headers.get(name).is_some())
}

/// What the headers say, for the log.
pub(super) fn said(headers: Headers<'_>) -> String {
    let mut said = Vec::new();
    for name in [LIST, STANDARD] {
        headers.each(name, |line| said.push(format!("{name}: {}", String::from_utf8_lossy(line))));
    }
    said.join(", ")
}

/// A line that is not UTF-8 has no address in it, which is for the reader to find.
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

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, and with a port. Not `unknown`, nor a name.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse().map(IpAddr::V6).ok(),
        None => text.parse().or_else(|_| text.parse().map(|at: SocketAddr| at.ip())).ok(),
    };
    address.map(|address| address.to_canonical())
}

/// The node of `for` in each element. `None` if anything is not as the grammar says: what a proxy puts in
/// quotes, such as a host, came from the client and may have commas.
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

/// A token, or what is between quotes. Escapes stay as they are: no address has one.
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
