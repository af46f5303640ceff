//! The two headers that are passed on between the sender and a service, only if they are well-formed.

use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use time::PrimitiveDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use super::forward::LONGEST_HEADER;

/// RFC 9110 §5.6.7, the current format.
const HTTP_DATE: StaticFormatDescription = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The service's `Retry-After`, if it is a single value: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let text = value.to_str().ok()?;
    let is_seconds =
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_valid = is_seconds || PrimitiveDateTime::parse(text, HTTP_DATE).is_ok();
    is_valid.then(|| value.clone())
}

/// The sender's `Content-Type`, if it is a single value: a type, a subtype, and parameters in printable ASCII.
pub(crate) fn content_type<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<HeaderValue> {
    let value = values.next()?;
    let text = std::str::from_utf8(value).unwrap_or_default();
    let (kind, subtype) =
        text.split(';').next().and_then(|kind| kind.trim().split_once('/')).unwrap_or_default();
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let is_valid =
        is_token(kind) && is_token(subtype) && is_printable && text.len() <= LONGEST_HEADER;
    if !is_valid || values.next().is_some() {
        tracing::warn!(
            name = "content-type",
            "header left out of the forwarded request: expected one media type like application/json"
        );
        return None;
    }
    HeaderValue::from_str(text).ok()
}

/// A token of RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::{content_type, retry_after};

    #[test]
    fn a_pause_is_passed_on_only_as_seconds_or_as_a_date() {
        let passed = |values: &[&'static [u8]]| {
            let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
            retry_after(&values.map(|value| (RETRY_AFTER, value)).collect::<HeaderMap>())
        };
        for value in [&b"0"[..], b"120", b"4294967295", b"Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(passed(&[value]).unwrap(), value);
        }
        for value in [
            &b""[..],
            b"-1",
            b"+1",
            b"1.5",
            b"1 ",
            b"1, 2",
            b"soon",
            b"99999999999",
            b"\xd9\xa1",
            b"<script>",
            b"Fri, 31 Dec 1999 23:59:59 +0000",
            b"Fri, 32 Dec 1999 23:59:59 GMT",
            b"1999-12-31T23:59:59Z",
        ] {
            assert_eq!(passed(&[value]), None, "{value:?}");
        }
        assert_eq!(passed(&[b"1", b"2"]), None);
        assert_eq!(passed(&[]), None);
    }

    #[test]
    fn a_content_type_is_passed_on_only_if_it_is_valid() {
        let passed = |values: &[&'static [u8]]| content_type(values.iter().copied());
        for value in [
            &b"application/json"[..],
            b"application/json; charset=utf-8",
            b"text/plain;charset=\"a b\"",
            b"application/vnd.a.b+json ; v=1",
        ] {
            assert_eq!(passed(&[value]).unwrap(), value);
        }
        let long: &[u8] = format!("a/b; c={}", "d".repeat(1_024)).leak().as_bytes();
        for value in [
            &b""[..],
            b"json",
            b"/",
            b"a/",
            b"/b",
            b"a b/c",
            b"a/b/c",
            b"a/b, c/d",
            b"<a>/b",
            b"a/b; c=\xe9",
            b"a/b; c=\x7f",
            b"a/b\r\nx-evil: 1",
            long,
        ] {
            assert_eq!(passed(&[value]), None, "{value:?}");
        }
        assert_eq!(passed(&[b"a/b", b"a/b"]), None);
        assert_eq!(passed(&[]), None);
    }
}
