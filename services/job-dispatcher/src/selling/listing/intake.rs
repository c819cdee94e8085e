//! Whether work is taken on: closed before something runs out, so that a refusal still costs nothing.

use std::fmt::Display;

use t4t_panics::{Lock, LockGuard};
use t4t_runtime::alarm::Alarm;
use tracing::{error, info};

use crate::selling::problem::{Problem, SEE_DOCTOR};

/// How long questions may fail before no more work is taken on.
const DOUBT_MS: u64 = 60_000;

/// What keeps this provider from serving.
#[derive(Debug)]
pub(super) enum NotReady {
    /// It is so.
    Certain(Problem),
    /// It could not be asked, or is under way.
    Unknown(String),
}

impl NotReady {
    pub(super) fn unknown(error: impl Display) -> Self {
        Self::Unknown(error.to_string())
    }

    pub(super) fn certain(reason: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::Certain(Problem::new(reason, next_step))
    }

    pub(super) fn into_certain(self) -> Self {
        match self {
            Self::Unknown(reason) => Self::certain(reason, SEE_DOCTOR),
            certain => certain,
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Certain(problem) => problem.reason,
            Self::Unknown(reason) => reason,
        }
    }
}

/// Whether work is taken on, and why not.
#[derive(Debug, Default)]
pub(super) struct Intake {
    state: Lock<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<Problem>,
    /// Since when questions fail, in milliseconds since 1970.
    doubtful_since_ms: Option<u64>,
    alarm: Alarm,
}

impl Intake {
    fn state(&self) -> LockGuard<'_, State> {
        self.state.lock()
    }

    /// Why no work is taken on; `None` if it is.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.state().closed.clone()
    }

    /// Takes no more work on, and says so at once and now and then.
    pub(super) fn close(&self, problem: Problem, now_ms: u64) {
        let mut state = self.state();
        if state.alarm.raise(&problem.next_step, now_ms) {
            let Problem { reason, next_step } = &problem;
            error!(reason, next_step, "no new jobs are taken");
        }
        state.closed = Some(problem);
    }

    /// Takes work on.
    pub(super) fn open(&self) {
        let mut state = self.state();
        if state.alarm.end() {
            info!("new jobs are taken again");
        }
        (state.closed, state.doubtful_since_ms) = (None, None);
    }

    /// Closes once questions have failed for a while.
    pub(super) fn doubt(&self, reason: String, now_ms: u64) {
        let since_ms = *self.state().doubtful_since_ms.get_or_insert(now_ms);
        info!(reason, "the shop window could not be looked after");
        if now_ms.saturating_sub(since_ms) > DOUBT_MS {
            self.close(Problem::new(reason, "check GNOSIS_RPC_URL, and the other services' logs"), now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_at_once_where_it_is_so_and_after_a_while_where_it_is_not_known() {
        let intake = Intake::default();
        intake.doubt("no answer".into(), 0);
        intake.doubt("no answer".into(), DOUBT_MS);
        assert_eq!(intake.problem(), None);
        intake.doubt("no answer".into(), DOUBT_MS + 1);
        assert!(intake.problem().is_some());
        intake.open();
        intake.doubt("no answer".into(), DOUBT_MS + 2);
        assert_eq!(intake.problem(), None, "the doubt begins anew");
        let empty = Problem::new("the wallet is empty", "send xDAI");
        intake.close(empty.clone(), 0);
        assert_eq!(intake.problem(), Some(empty));
    }
}
