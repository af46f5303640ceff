//! Prints the table, and checks that every row is as promised.

use std::process::ExitCode;

use axum::body::Bytes;

use crate::deliveries::Case;

pub(crate) struct Table {
    rows: usize,
    broken: usize,
}

impl Table {
    pub(crate) fn begin() -> Self {
        println!("{:<46} {:<14} handler ran", "sent", "answered");
        println!("{:-<46} {:-<14} {:-<40}", "", "", "");
        Self { rows: 0, broken: 0 }
    }

    pub(crate) fn row(&mut self, case: &Case, answers: &[(u16, Bytes)], runs: &[String]) {
        let promised = &case.promised;
        let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        let answered = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", then ");
        let last = answers.last().map(|(_, body)| body.clone()).unwrap_or_default();
        if case.is_at_once() {
            // The order of two simultaneous answers is not promised.
            statuses.sort_unstable();
        }
        let kept = statuses == promised.answers
            && runs.len() == promised.runs
            && promised.body.is_none_or(|body| last == body);
        let ran = match runs {
            [] => promised.body.map_or("no".into(), |body| format!("no, answered {body}")),
            [once] => once.clone(),
            [.., event] => format!("{}×, {event}", runs.len()),
        };
        println!("{:<46} {answered:<14} {ran}", case.what);
        if !kept {
            println!("  ✗ promised were {:?} and {} runs", promised.answers, promised.runs);
        }
        self.rows += 1;
        self.broken += usize::from(!kept);
    }

    pub(crate) fn end(self) -> ExitCode {
        match self.broken {
            0 => {
                println!("\n{} rows, all as promised", self.rows);
                ExitCode::SUCCESS
            }
            broken => {
                println!("\n{broken} of {} rows not as promised", self.rows);
                ExitCode::FAILURE
            }
        }
    }
}
