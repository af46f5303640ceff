//! Whom proxies speak for: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom it was called by, so the end of a list was written by the nearest one, and
//! its beginning by anyone. It is read from the end, as long as trusted proxies vouch for each other. What
//! cannot be read is refused, not skipped. A proxy writes one of the two headers and may hand on the other
//! as it came: where there are both, they have to say the same.

use std::net::{IpAddr, SocketAddr};

use super::networks::Networks;
use crate::provider::Headers;

const LIST: &str = "x-forwarded-for";
const STANDARD: &str = "forwarded";

/// Why the client is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Neither header is there.
    Unsaid,
    Unreadable,
}

/// The nearest address that is not of a trusted proxy; if all are, the farthest.
pub(super) fn client(headers: Headers<'_>, trusted: &Networks) -> Result<IpAddr, Unknown> {
    let list = lines(headers, LIST)?.map(|list| {
        let hops = list.rsplit(',');
        nearest_stranger(hops.map(address), trusted)
    });
    let standard = lines(headers, STANDARD)?.map(|list| {
        let hops = elements(&list).ok_or(Unknown::Unreadable)?;
        nearest_stranger(hops.into_iter().rev().map(|node| address(node?)), trusted)
    });
    match (list.transpose()?, standard.transpose()?) {
        (Some(one), Some(other)) if one != other => Err(Unknown::Unreadable),
        (one, other) => one.or(other).ok_or(Unknown::Unsaid),
    }
}

/// Whether there is a header that speaks for somebody else.
#[cfg(feature = "throttle")]
pub(super) fn is_said(headers: Headers<'_>) -> bool {
    [LIST, STANDARD].iter().any(|name| headers.get(name).is_some())
}

/// Several lines are one list.
fn lines(headers: Headers<'_>, name: &str) -> Result<Option<String>, Unknown> {
    let mut list: Result<Option<String>, _> = Ok(None);
    headers.each(name, |line| {
        list = match (std::mem::replace(&mut list, Ok(None)), std::str::from_utf8(line)) {
            (Ok(Some(list)), Ok(line)) => Ok(Some(list + "," + line)),
            (Ok(None), Ok(line)) => Ok(Some(line.to_owned())),
            _ => Err(Unknown::Unreadable),
        }
    });
    list
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
