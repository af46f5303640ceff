//! What a body may have been before something on its way changed it.

use std::io::{self, Write};

use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// Each with what must have happened to it.
pub(super) fn variants(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut add = |cause: &str, variant: Vec<u8>| {
        if variant != body {
            found.push((format!("{cause}: verify the raw bytes as they came"), variant));
        }
    };
    let line_end = "a line end was added to the body";
    for end in [&b"\r\n"[..], b"\n"] {
        add(line_end, body.strip_suffix(end).unwrap_or(body).to_vec());
    }
    for end in [&b"\n"[..], b"\r\n"] {
        add("the line end of the body was taken away", [body, end].concat());
    }
    add(
        "a byte order mark was put before the body",
        body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).to_vec(),
    );
    let bare = without_carriage_returns(body);
    add("the line ends of the body were changed from CR LF to LF", with_carriage_returns(&bare));
    add("the line ends of the body were changed from LF to CR LF", bare);
    for style in STYLES {
        if let Some(json) = style.written(body) {
            let cause = format!(
                "the body was re-serialised: it was signed as {}, and was parsed and written anew since",
                style.name
            );
            add(&cause, [&json[..], b"\n"].concat());
            add(&cause, json);
        }
    }
    found
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
