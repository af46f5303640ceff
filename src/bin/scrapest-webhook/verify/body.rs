//! What a body may have been before something on its way changed it.

use std::io::{self, Write};

use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// Each with what must have happened to it. Made one after the other: a body may be large.
pub(super) fn variants(body: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let changed = CHANGES.iter().map(|(cause, undo)| ((*cause).to_owned(), undo(body)));
    let rewritten = STYLES.into_iter().filter_map(|style| {
        let cause = format!(
            "the body was re-serialised: it was signed as {}, and was parsed and written anew since",
            style.name
        );
        Some((cause, style.written(body)?))
    });
    let rewritten = rewritten.flat_map(|(cause, json)| {
        let line = [&json[..], b"\n"].concat();
        [(cause.clone(), line), (cause, json)]
    });
    let variants = changed.chain(rewritten).filter(move |(_, variant)| variant != body);
    variants
        .map(|(cause, variant)| (format!("{cause}: verify the raw bytes as they came"), variant))
}

type Undo = fn(&[u8]) -> Vec<u8>;

/// What happens to a body, and how it is undone.
const CHANGES: [(&str, Undo); 7] = [
    (LINE_END_ADDED, |body| body.strip_suffix(b"\r\n").unwrap_or(body).to_vec()),
    (LINE_END_ADDED, |body| body.strip_suffix(b"\n").unwrap_or(body).to_vec()),
    (LINE_END_LOST, |body| [body, b"\n"].concat()),
    (LINE_END_LOST, |body| [body, b"\r\n"].concat()),
    ("a byte order mark was put before the body", |body| {
        body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).to_vec()
    }),
    ("the line ends of the body were changed from CR LF to LF", |body| {
        with_carriage_returns(&without_carriage_returns(body))
    }),
    ("the line ends of the body were changed from LF to CR LF", without_carriage_returns),
];

const LINE_END_ADDED: &str = "a line end was added to the body";
const LINE_END_LOST: &str = "the line end of the body was taken away";

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

/// A way in which a well-known library writes JSON.
#[derive(Clone, Copy, Debug)]
struct Style {
    name: &'static str,
    layout: Layout,
    ascii: bool,
    escaped_slash: bool,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Compact,
    /// As Python: a blank after each comma and colon.
    Spaced,
    Indented(&'static [u8]),
}

const STYLES: [Style; 9] = {
    const fn style(name: &'static str, layout: Layout, ascii: bool, escaped_slash: bool) -> Style {
        Style { name, layout, ascii, escaped_slash }
    }
    [
        style("compact JSON", Layout::Compact, false, false),
        style("compact JSON in ASCII", Layout::Compact, true, false),
        style(
            "compact JSON in ASCII with escaped slashes, like PHP's",
            Layout::Compact,
            true,
            true,
        ),
        style("JSON with blanks, like Python's", Layout::Spaced, true, false),
        style("JSON with blanks, not in ASCII", Layout::Spaced, false, false),
        style("JSON indented by 2", Layout::Indented(b"  "), false, false),
        style("JSON indented by 2, in ASCII", Layout::Indented(b"  "), true, false),
        style("JSON indented by 4", Layout::Indented(b"    "), false, false),
        style("JSON indented by 4, in ASCII", Layout::Indented(b"    "), true, false),
    ]
};

impl Style {
    /// The same JSON in this style, its fields in the order in which they stand; nothing if it is none.
    fn written(self, json: &[u8]) -> Option<Vec<u8>> {
        let text = match self.layout {
            Layout::Compact => transcoded(json, CompactFormatter),
            Layout::Spaced => transcoded(json, Spaced),
            Layout::Indented(indent) => transcoded(json, PrettyFormatter::with_indent(indent)),
        }?;
        // Outside of its strings JSON has neither slashes nor anything that is not ASCII.
        let text = if self.ascii { in_ascii(&text) } else { text };
        let text = if self.escaped_slash { text.replace('/', "\\/") } else { text };
        Some(text.into_bytes())
    }
}

fn transcoded(json: &[u8], layout: impl Formatter) -> Option<String> {
    let mut written = Vec::with_capacity(json.len());
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut writer = serde_json::Serializer::with_formatter(&mut written, layout);
    serde_transcode::transcode(&mut reader, &mut writer).ok()?;
    reader.end().ok()?;
    String::from_utf8(written).ok()
}

fn in_ascii(text: &str) -> String {
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

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
