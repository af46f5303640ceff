//! One line of the table.

use peers::cpu::Cpu;

/// What is measured, its goal, and how far it is met.
pub struct Row {
    pub goal: &'static str,
    pub what: String,
    pub asked: String,
    pub measured: String,
    /// `None`: there is no goal for it, or it was not measured.
    pub met: Option<bool>,
}

impl Row {
    /// A ratio of CPU times, taken once of the medians and once of the least.
    pub fn ratio(
        goal: &'static str,
        what: impl Into<String>,
        (asked, limit): (&str, f64),
        ratio: impl Fn(fn(&Cpu) -> f64) -> f64,
    ) -> Self {
        let (median, least) = (ratio(|cpu| cpu.median), ratio(|cpu| cpu.least));
        Self {
            goal,
            what: what.into(),
            asked: asked.to_owned(),
            measured: format!("{median:.2} ×, least {least:.2} ×"),
            met: Some(median <= limit),
        }
    }

    /// A part of something that is much larger, `limit` as 20 for a twentieth.
    pub fn share(
        goal: &'static str,
        what: impl Into<String>,
        whole: &str,
        limit: f64,
        [part, of]: [Cpu; 2],
    ) -> Self {
        let (median, least) = (of.median / part.median, of.least / part.least);
        let micros = [part, of].map(|cpu| cpu.median / 1e3);
        Self {
            goal,
            what: what.into(),
            asked: format!("≤ 1/{limit} of {whole}"),
            measured: format!(
                "1/{median:.1}, least 1/{least:.1}: {:.1} µs of {:.1}",
                micros[0], micros[1]
            ),
            met: Some(median >= limit),
        }
    }

    pub fn not_measured(goal: &'static str, what: &str, asked: &str, why: &str) -> Self {
        // A table has no place for a second line.
        let why = why.lines().next().unwrap_or_default();
        let measured = format!("not measured: {why}");
        Self { goal, what: what.to_owned(), asked: asked.to_owned(), measured, met: None }
    }

    /// The same with more said of what was measured.
    pub fn with(mut self, more: &str) -> Self {
        self.measured += more;
        self
    }

    pub fn print(self) {
        let Self { goal, what, asked, measured, met } = self;
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        println!("| {goal} | {what} | {asked} | {measured} | {verdict} |");
    }
}
