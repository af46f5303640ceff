//! `--output pretty`: one aligned line per request, for people.

use std::fmt::Write;
use std::time::Duration;

use clap::ValueEnum;
use console::{Style, Term, pad_str, style, truncate_str};
use time::macros::format_description;

use super::exchange::{Cause, Exchange};
use crate::terminal;

/// The format of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// One aligned line for each request, with the likely cause if it was refused
    Pretty,
    /// One line of JSON per accepted event
    Json,
    /// Nothing after the first line
    Quiet,
}

impl Output {
    /// The default for a terminal or a pipe.
    pub(super) fn usual() -> Self {
        if Term::stdout().is_term() { Self::Pretty } else { Self::Json }
    }
}

/// The width for a pipe, and the minimum width.
const USUAL: usize = 100;
const LEAST: usize = 60;

const KIND: usize = 24;
const WIDE_ID: usize = 36;
const SHORT_ID: usize = 13;
/// The width of time, status, the two durations, and the gaps between all six columns.
const OTHERS: usize = 8 + 3 + 8 + 8 + 10;

#[derive(Debug)]
pub(super) struct Pretty {
    width: usize,
}

/// The information printed at the start.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    pub(super) url: &'a str,
    pub(super) path: &'a str,
    pub(super) port: u16,
    pub(super) sender: &'a str,
    pub(super) is_loopback: bool,
    pub(super) inspector: Option<&'a str>,
}

impl Pretty {
    pub(super) fn new() -> Self {
        let width = Term::stdout().size_checked().map_or(USUAL, |(_, columns)| columns.into());
        Self { width: width.max(LEAST) }
    }

    /// The lines after `listening on …`.
    pub(super) fn welcome(&self, welcome: &Welcome<'_>) -> String {
        let Welcome { url, path, port, sender, is_loopback, inspector } = welcome;
        let name = |name| style(pad_str(name, 13, console::Alignment::Left, None)).dim();
        let mut text = format!("  {}{sender}", name("sender"));
        if let Some(inspector) = inspector {
            _ = write!(text, "\n  {}{}", name("inspector"), style(inspector).cyan());
        }
        let (scheme, _) = url.split_once("://").unwrap_or(("http", ""));
        let reach = if *is_loopback { ", from this machine only" } else { "" };
        _ = write!(text, "\n  {}{url}{reach}", name("webhook URL"));
        _ = write!(
            text,
            "\n  {}cloudflared tunnel --url {scheme}://127.0.0.1:{port}",
            name("from outside")
        );
        _ = write!(text, "\n  {}then give the sender https://YOUR-TUNNEL{path}", name(""));
        _ = write!(
            text,
            "\n\n{}",
            style(self.columns("time UTC", "", "kind", "id", "age", "run")).dim()
        );
        text
    }

    /// Formats a request: one line, and the notes below it.
    pub(super) fn exchange(
        &self,
        exchange: &Exchange,
        cause: Option<&Cause>,
        left_out: u64,
    ) -> String {
        let mut text = String::new();
        if left_out > 0 {
            _ = writeln!(text, "{}", style(format!("… {left_out} requests are not shown")).dim());
        }
        let received = exchange.recording.received;
        let time = received
            .and_then(|time| time.format(format_description!("[hour]:[minute]:[second]")).ok());
        let status = exchange.status.map_or_else(|| "–".to_owned(), |status| status.to_string());
        let run = exchange.run.as_ref();
        let line = self.columns(
            &time.unwrap_or_default(),
            &status,
            &terminal::plain(exchange.kind().unwrap_or("–")),
            &self.shortened(&terminal::plain(exchange.id().unwrap_or("–"))),
            &exchange.age().map_or_else(|| "–".to_owned(), shown),
            &run.and_then(|run| run.took).map_or_else(|| "–".to_owned(), shown),
        );
        _ = write!(text, "{}", color(exchange.status).apply_to(line.trim_end()));
        if let Some(kind) = exchange.rejection.filter(|kind| kind.status() < 300) {
            _ = write!(text, "  {}", style(kind.as_str()).dim());
        }
        if let Some(Cause { why, likely }) = cause {
            self.below(&mut text, why);
            likely
                .iter()
                .for_each(|cause| self.below(&mut text, &format!("likely cause: {cause}")));
        }
        if let Some(file) = exchange.file.as_ref().filter(|_| cause.is_some()) {
            self.below(&mut text, &format!("recorded as {file}"));
        }
        text
    }

    fn columns(
        &self,
        time: &str,
        status: &str,
        kind: &str,
        id: &str,
        age: &str,
        run: &str,
    ) -> String {
        let id_width = self.id_width();
        let kind_width = KIND.min(self.width.saturating_sub(OTHERS + id_width)).max(8);
        let left =
            |text, width| pad_str(text, width, console::Alignment::Left, Some("…")).into_owned();
        let right =
            |text, width| pad_str(text, width, console::Alignment::Right, Some("…")).into_owned();
        format!(
            "{}  {}  {}  {}  {}  {}",
            left(time, 8),
            left(status, 3),
            left(kind, kind_width),
            left(id, id_width),
            right(age, 8),
            right(run, 8)
        )
    }

    fn id_width(&self) -> usize {
        if self.width >= OTHERS + KIND + WIDE_ID { WIDE_ID } else { SHORT_ID }
    }

    /// Shortens an id to its two ends, because ids of the same time often begin alike.
    fn shortened(&self, id: &str) -> String {
        let (count, width) = (id.chars().count(), self.id_width());
        if count <= width {
            return id.to_owned();
        }
        let half = (width - 1) / 2;
        let start: String = id.chars().take(half).collect();
        let end: String = id.chars().skip(count - half).collect();
        format!("{start}…{end}")
    }

    /// Indents the text, and breaks it between words at the width of the terminal.
    fn below(&self, text: &mut String, said: &str) {
        let (indent, width) = (13, self.width - 13);
        let said = terminal::plain(said).replace('\n', " ");
        let mut line = String::new();
        for word in said.split(' ') {
            let word = truncate_str(word, width, "…");
            if !line.is_empty()
                && console::measure_text_width(&line) + 1 + console::measure_text_width(&word)
                    > width
            {
                _ = write!(text, "\n{:indent$}{line}", "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        _ = write!(text, "\n{:indent$}{line}", "");
    }
}

fn color(status: Option<u16>) -> Style {
    match status {
        Some(200..300) => Style::new().green(),
        Some(500..) => Style::new().yellow(),
        _ => Style::new().red(),
    }
}

/// Formats a duration in a suitable unit.
fn shown(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}
