//! The result of a pass, as one line and as an exit status.

use std::fmt;
use std::process::ExitCode;

use scrapest_webhook::Reconciled;

pub(super) struct Report {
    pub(super) done: Reconciled,
    pub(super) is_dry: bool,
}

impl Report {
    pub(super) fn exit_code(&self) -> ExitCode {
        match &self.done {
            done if done.left + done.gone > 0 => ExitCode::from(3),
            done if done.missing > 0 => ExitCode::from(1),
            _ => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reconciled { looked_at, known, missing, gone, left, calls, .. } = self.done;
        write!(f, "{looked_at} in the log: {known} known, ")?;
        match self.is_dry {
            true => write!(f, "{missing} missing, which would take {missing} more calls")?,
            false => write!(f, "{missing} missing and handled now, {gone} gone at the sender")?,
        }
        write!(f, ", {left} left; {calls} calls")
    }
}
