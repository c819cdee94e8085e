//! Whether work is taken on: closed before something runs out, so that a refusal still costs nothing.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use t4t_runtime::alarm::Alarm;
use tracing::{error, info};

/// How long questions may fail before no more work is taken on.
const DOUBT_MS: u64 = 60_000;

/// What to do where nothing better is known.
pub(super) const SEE_DOCTOR: &str = "see `t4t doctor --role provider`";

/// Why no work is taken on, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What is wrong.
    pub(super) reason: String,
    /// What a person does about it.
    pub(super) next_step: String,
}

impl Trouble {
    pub(super) fn new(reason: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { reason: reason.into(), next_step: next_step.into() }
    }
}

/// What keeps this provider from serving.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// It is so.
    Certain(Trouble),
    /// It could not be asked, or is under way.
    Passing(String),
}

impl Obstacle {
    pub(super) fn passing(error: impl Display) -> Self {
        Self::Passing(error.to_string())
    }

    pub(super) fn certain(reason: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::Certain(Trouble::new(reason, next_step))
    }

    pub(super) fn into_certain(self) -> Self {
        match self {
            Self::Passing(reason) => Self::certain(reason, SEE_DOCTOR),
            certain => certain,
        }
    }

    pub(super) fn into_text(self) -> String {
        match self {
            Self::Certain(trouble) => trouble.reason,
            Self::Passing(reason) => reason,
        }
    }
}

/// Whether work is taken on, and why not.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<Trouble>,
    /// Since when questions fail, in milliseconds since 1970.
    doubtful_since_ms: Option<u64>,
    alarm: Alarm,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why no work is taken on; `None` if it is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.state().closed.clone()
    }

    /// Takes no more work on, and says so at once and now and then.
    pub(super) fn close(&self, trouble: Trouble, now_ms: u64) {
        let mut state = self.state();
        if state.alarm.raise(&trouble.next_step, now_ms) {
            let Trouble { reason, next_step } = &trouble;
            error!(reason, next_step, "no new jobs are taken");
        }
        state.closed = Some(trouble);
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
            self.close(Trouble::new(reason, "check GNOSIS_RPC_URL, and the other services' logs"), now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_at_once_where_it_is_so_and_after_a_while_where_it_is_not_known() {
        let gate = Gate::default();
        gate.doubt("no answer".into(), 0);
        gate.doubt("no answer".into(), DOUBT_MS);
        assert_eq!(gate.trouble(), None);
        gate.doubt("no answer".into(), DOUBT_MS + 1);
        assert!(gate.trouble().is_some());
        gate.open();
        gate.doubt("no answer".into(), DOUBT_MS + 2);
        assert_eq!(gate.trouble(), None, "the doubt begins anew");
        let empty = Trouble::new("the wallet is empty", "send xDAI");
        gate.close(empty.clone(), 0);
        assert_eq!(gate.trouble(), Some(empty));
    }
}
