//! What is known about one endpoint: when it may be asked again, and how much at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::config::{RpcConfig, shown};

#[derive(Debug)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// Milliseconds since 1970 before which it is left alone.
    ready_at: u64,
    /// Questions it takes in one request.
    batch_limit: usize,
}

pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) name: String,
    backoff: Duration,
    max_backoff: Duration,
    state: Mutex<State>,
}

impl Endpoint {
    pub(crate) fn new(url: Url, config: &RpcConfig) -> Self {
        Self {
            name: shown(&url),
            url,
            backoff: config.backoff,
            max_backoff: config.max_backoff,
            state: Mutex::new(State { failures: 0, ready_at: 0, batch_limit: config.max_batch.max(1) }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it is still left alone. A clock that was set back can't lengthen that beyond the longest pause.
    pub(crate) fn wait(&self, now_millis: u64) -> Duration {
        Duration::from_millis(self.state().ready_at.saturating_sub(now_millis)).min(self.max_backoff)
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.ready_at = 0;
    }

    /// Leaves it alone for a pause that doubles with each failure, or for what it asked for if that is longer.
    /// `random` spreads the pauses of many processes.
    pub(crate) fn failed(&self, now_millis: u64, asked: Option<Duration>, random: u32) {
        let mut state = self.state();
        let doubled = self.backoff.saturating_mul(1 << state.failures.min(16)).min(self.max_backoff);
        let pause = jittered(doubled, random).max(asked.unwrap_or_default()).min(self.max_backoff);
        state.failures = state.failures.saturating_add(1);
        state.ready_at = now_millis.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    }

    pub(crate) fn batch_limit(&self) -> usize {
        self.state().batch_limit
    }

    /// Remembers that it refused `size` questions in one request.
    pub(crate) fn refused_batch(&self, size: usize) {
        let mut state = self.state();
        state.batch_limit = state.batch_limit.min(size / 4).max(1);
    }
}

/// Half to all of `pause`, so that many processes do not come back at one moment.
fn jittered(pause: Duration, random: u32) -> Duration {
    pause.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}
