//! The findings, one line each.

use std::fmt::Write;

#[derive(Debug, Default)]
pub(super) struct Findings {
    text: String,
    problems: usize,
}

impl Findings {
    pub(super) fn ok(&mut self, subject: &str, what: impl AsRef<str>) {
        _ = writeln!(self.text, "ok       {} {}", subject.escape_debug(), what.as_ref());
    }

    pub(super) fn problem(&mut self, subject: &str, what: String, advice: &str) {
        self.problems += 1;
        _ = writeln!(self.text, "PROBLEM  {} {what}", subject.escape_debug());
        _ = writeln!(self.text, "         {advice}");
    }

    pub(super) fn has_problem(&self) -> bool {
        self.problems > 0
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}
