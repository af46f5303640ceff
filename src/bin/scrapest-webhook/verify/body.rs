//! Guesses the original body, if an intermediary has parsed and rewritten it.

use std::io::{self, Write};

use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::changes::{self, html, in_ascii, upper_case};

/// Each variant with its cause. Created one at a time, because a body may be large.
pub(super) fn variants(body: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let changed = changes::undone(body).map(|(cause, body)| (cause.to_owned(), body));
    let rewritten = [false, true].into_iter().flat_map(move |sorted| {
        let json = if sorted { with_sorted_keys(body) } else { Some(body.to_vec()) };
        let how = if sorted { ", with sorted keys" } else { "" };
        STYLES.into_iter().filter_map(move |style| {
            let cause = format!(
                "the body was re-serialized: it was signed as {}{how}, then parsed and written again",
                style.name
            );
            Some((cause, style.written(json.as_deref()?)?))
        })
    });
    let rewritten = rewritten.flat_map(|(cause, json)| {
        let line = [&json[..], b"\n"].concat();
        [(cause.clone(), line), (cause, json)]
    });
    let variants = changed.chain(rewritten).filter(move |(_, variant)| variant != body);
    variants.map(|(cause, variant)| (format!("{cause}: verify the raw bytes as received"), variant))
}

fn with_sorted_keys(json: &[u8]) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    Some(value.to_string().into_bytes())
}

/// The style in which a well-known library writes JSON.
#[derive(Clone, Copy, Debug)]
struct Style {
    name: &'static str,
    layout: Layout,
    ascii: bool,
    escape: fn(String) -> String,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Compact,
    /// Python's style: a space after each comma and colon.
    Spaced,
    Indented(&'static [u8]),
}

const STYLES: [Style; 11] = {
    const fn style(
        name: &'static str,
        layout: Layout,
        ascii: bool,
        escape: fn(String) -> String,
    ) -> Style {
        Style { name, layout, ascii, escape }
    }
    [
        style("compact JSON", Layout::Compact, false, plain),
        style("compact JSON in ASCII", Layout::Compact, true, plain),
        style(
            "compact JSON in ASCII with escaped slashes, like PHP's",
            Layout::Compact,
            true,
            slashes,
        ),
        style("compact JSON with `\\u003c`, like Go's", Layout::Compact, false, html),
        style("compact JSON in ASCII with upper-case escapes", Layout::Compact, true, upper_case),
        style("JSON with spaces, like Python's", Layout::Spaced, true, plain),
        style("JSON with spaces, not in ASCII", Layout::Spaced, false, plain),
        style("JSON indented by 2", Layout::Indented(b"  "), false, plain),
        style("JSON indented by 2, in ASCII", Layout::Indented(b"  "), true, plain),
        style("JSON indented by 4", Layout::Indented(b"    "), false, plain),
        style("JSON indented by 4, in ASCII", Layout::Indented(b"    "), true, plain),
    ]
};

impl Style {
    /// Rewrites the JSON in this style, with its fields in the same order. `None` if the body is not JSON.
    fn written(self, json: &[u8]) -> Option<Vec<u8>> {
        let text = match self.layout {
            Layout::Compact => transcoded(json, CompactFormatter),
            Layout::Spaced => transcoded(json, Spaced),
            Layout::Indented(indent) => transcoded(json, PrettyFormatter::with_indent(indent)),
        }?;
        // JSON has slashes and non-ASCII characters only inside strings.
        let text = if self.ascii { in_ascii(&text) } else { text };
        Some((self.escape)(text).into_bytes())
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

fn plain(text: String) -> String {
    text
}

fn slashes(text: String) -> String {
    text.replace('/', "\\/")
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
