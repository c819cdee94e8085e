//! What a payment that failed on the chain teaches: an endpoint said that there was more than there is, so for a while the
//! one that says least is believed, and the allowance is raised once where one says that it is too low.

use std::sync::{Mutex, PoisonError};

/// How long the lowest balance counts after a payment failed; doubles with each further one until one is made.
const FIRST_MS: u64 = 60_000;

/// The longest of these times.
const LONGEST_MS: u64 = 3_600_000;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    failures: u32,
    until_ms: u64,
    may_approve: bool,
}

/// How payments went lately.
#[derive(Debug, Default)]
pub(crate) struct Caution(Mutex<State>);

impl Caution {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A payment failed on the chain.
    pub(crate) fn failed(&self, now_ms: u64) {
        let mut state = self.state();
        let pause = FIRST_MS.saturating_mul(1 << state.failures.min(16)).min(LONGEST_MS);
        state.failures = state.failures.saturating_add(1);
        state.until_ms = now_ms.saturating_add(pause);
        state.may_approve = true;
    }

    /// A payment was made.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// Whether the lowest balance counts. A clock that was set back can't lengthen that beyond the longest time.
    pub(crate) fn is_on(&self, now_ms: u64) -> bool {
        let until_ms = self.state().until_ms;
        until_ms > now_ms && until_ms - now_ms <= LONGEST_MS
    }

    /// Whether a payment failed that may have lacked an allowance, and none was raised since.
    pub(crate) fn may_approve(&self) -> bool {
        self.state().may_approve
    }

    /// The allowance is raised.
    pub(crate) fn approves(&self) {
        self.state().may_approve = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_in_a_row_is_remembered_for_longer_and_a_payment_ends_it() {
        let caution = Caution::default();
        assert!(!caution.is_on(0));
        for (failure, seconds) in [60, 120, 240].into_iter().enumerate() {
            caution.failed(0);
            let until = seconds * 1000;
            assert!(caution.is_on(until - 1) && !caution.is_on(until), "{failure}");
        }
        assert!(caution.may_approve());
        caution.succeeded();
        assert!(!caution.is_on(0) && !caution.may_approve());
    }
}
