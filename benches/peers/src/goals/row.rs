//! One line of the table.

use peers::cpu::Cpu;

/// A measurement, its goal, and whether the goal is met.
pub struct Row {
    pub goal: &'static str,
    pub what: String,
    pub asked: String,
    pub measured: String,
    /// `None` if there is no goal, or if it was not measured.
    pub met: Option<bool>,
}

impl Row {
    /// A ratio of CPU times: one of the medians, and one of the least.
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

    /// A share of something much larger; `limit` is the divisor, 20 for a twentieth.
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
        // A table row has no second line.
        let why = why.lines().next().unwrap_or_default();
        let measured = format!("not measured: {why}");
        Self { goal, what: what.to_owned(), asked: asked.to_owned(), measured, met: None }
    }

    /// Appends `more` to the measurement.
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
