//! Changes to a body in transit that do not parse it, and their reversal.

use std::io::Read;

use data_encoding::{BASE64, BASE64_NOPAD};

/// The maximum number of bytes to which a body is decompressed.
const LARGEST: u64 = 16 * 1_048_576;

/// Each possible change, with the body before it.
pub(super) fn undone(body: &[u8]) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    CHANGES.iter().filter_map(move |(cause, undo)| Some((*cause, undo(body)?)))
}

type Undo = fn(&[u8]) -> Option<Vec<u8>>;

const CHANGES: [(&str, Undo); 22] = [
    (LINE_END_ADDED, |body| Some(body.strip_suffix(b"\r\n")?.to_vec())),
    (LINE_END_ADDED, |body| Some(body.strip_suffix(b"\n")?.to_vec())),
    (LINE_END_LOST, |body| Some([body, b"\n"].concat())),
    (LINE_END_LOST, |body| Some([body, b"\r\n"].concat())),
    ("a byte order mark was put before the body", |body| {
        Some(body.strip_prefix(b"\xef\xbb\xbf")?.to_vec())
    }),
    ("the byte order mark before the body was removed", |body| {
        Some([b"\xef\xbb\xbf", body].concat())
    }),
    ("the line ends of the body were changed from CR LF to LF", |body| {
        Some(with_carriage_returns(&without_carriage_returns(body)))
    }),
    ("the line ends of the body were changed from LF to CR LF", |body| {
        Some(without_carriage_returns(body))
    }),
    ("a body was added: it was signed as an empty one", |_| Some(Vec::new())),
    ("the body was cut: its last bytes are missing", completed),
    ("the body was compressed with gzip after it was signed", gunzip),
    ("the body was encoded in base64 after it was signed", |body| {
        let text = body.trim_ascii();
        let text =
            text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        BASE64.decode(text).or_else(|_| BASE64_NOPAD.decode(text)).ok()
    }),
    ("the body was put into a JSON string after it was signed", |body| {
        serde_json::from_slice::<String>(body).ok().map(String::into_bytes)
    }),
    (FORM, |body| Some(decoded(body))),
    (FORM, |body| {
        let at = body.iter().position(|byte| *byte == b'=')?;
        let value = body[at + 1..].split(|byte| *byte == b'&').next()?;
        Some(decoded(value))
    }),
    (
        "the escapes of the body were rewritten: it was signed with `\\u003c` for `<`, like Go's",
        |body| text(body).map(|text| html(text).into_bytes()),
    ),
    ("the escapes of the body were rewritten: it was signed with `<` for `\\u003c`", |body| {
        text(body).map(|text| without_html(&text).into_bytes())
    }),
    (
        "the escapes of the body were rewritten: it was signed with upper-case digits, like `\\u00E9`",
        |body| text(body).map(|text| upper_case(text).into_bytes()),
    ),
    (
        "the escapes of the body were rewritten: it was signed with lower-case digits, like `\\u00e9`",
        |body| {
            text(body)
                .map(|text| with_digits(&text, |digits| digits.to_ascii_lowercase()).into_bytes())
        },
    ),
    ("the escapes of the body were rewritten: it was signed in ASCII", |body| {
        text(body).map(|text| in_ascii(&text).into_bytes())
    }),
    ("the escapes of the body were rewritten: it was signed with `\\/` for `/`", |body| {
        text(body).map(|text| text.replace('/', "\\/").into_bytes())
    }),
    ("the escapes of the body were rewritten: it was signed with `/` for `\\/`", |body| {
        text(body).map(|text| text.replace("\\/", "/").into_bytes())
    }),
];

const LINE_END_ADDED: &str = "a line end was added to the body";
const LINE_END_LOST: &str = "the line end of the body was removed";
const FORM: &str = "the body was encoded as a form after it was signed";

fn text(body: &[u8]) -> Option<String> {
    std::str::from_utf8(body).ok().map(str::to_owned)
}

fn without_carriage_returns(body: &[u8]) -> Vec<u8> {
    let mut bare = Vec::with_capacity(body.len());
    for (at, &byte) in body.iter().enumerate() {
        if !(byte == b'\r' && body.get(at + 1) == Some(&b'\n')) {
            bare.push(byte);
        }
    }
    bare
}

fn with_carriage_returns(body: &[u8]) -> Vec<u8> {
    body.split(|&byte| byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// Adds the brackets and quotes that truncated JSON lacks.
fn completed(body: &[u8]) -> Option<Vec<u8>> {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => _ = open.pop(),
            _ => {}
        }
    }
    if in_string {
        open.push(b'"');
    }
    open.reverse();
    (!open.is_empty()).then(|| [body, &open].concat())
}

fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(LARGEST).read_to_end(&mut inflated).ok()?;
    Some(inflated)
}

fn decoded(form: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> =
        form.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&blanks).collect()
}

pub(super) fn html(text: String) -> String {
    text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

fn without_html(text: &str) -> String {
    text.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
}

pub(super) fn upper_case(text: String) -> String {
    with_digits(&text, |digits| digits.to_ascii_uppercase())
}

/// Changes the four digits of each escape.
fn with_digits(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        changed.push_str(before);
        let length = if escape.starts_with("\\u") { 6 } else { 2 };
        let Some((escape, after)) = escape.split_at_checked(length) else {
            rest = escape;
            break;
        };
        match length {
            6 => changed.extend(["\\u", &change(&escape[2..])]),
            _ => changed.push_str(escape),
        }
        rest = after;
    }
    changed.push_str(rest);
    changed
}

pub(super) fn in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for char in text.chars() {
        match char.is_ascii() {
            true => ascii.push(char),
            false => ascii
                .extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    ascii
}
