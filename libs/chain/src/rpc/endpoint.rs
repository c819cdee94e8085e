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
    max_asked: Duration,
    state: Mutex<State>,
}

impl Endpoint {
    pub(crate) fn new(url: Url, config: &RpcConfig) -> Self {
        Self {
            name: shown(&url),
            url,
            backoff: config.backoff,
            max_backoff: config.max_backoff,
            max_asked: config.max_asked,
            state: Mutex::new(State { failures: 0, ready_at: 0, batch_limit: config.max_batch.max(1) }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it is still left alone. A clock that was set back can't lengthen that beyond the longest pause.
    pub(crate) fn wait(&self, now_millis: u64) -> Duration {
        let longest = self.max_backoff.max(self.max_asked);
        Duration::from_millis(self.state().ready_at.saturating_sub(now_millis)).min(longest)
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
        // Questions that were under way together fail together: that is one failure.
        if state.failures == 0 || now_millis >= state.ready_at {
            let doubled = self.backoff.saturating_mul(1 << state.failures.min(16)).min(self.max_backoff);
            state.failures = state.failures.saturating_add(1);
            state.ready_at = now_millis.saturating_add(millis(jittered(doubled, random)));
        }
        let asked = asked.unwrap_or_default().min(self.max_asked);
        state.ready_at = state.ready_at.max(now_millis.saturating_add(millis(asked)));
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Half to all of `pause`, so that many processes do not come back at one moment.
fn jittered(pause: Duration, random: u32) -> Duration {
    pause.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        let url: Url = "http://chain.invalid/".parse().unwrap();
        Endpoint::new(url.clone(), &RpcConfig::new([url]))
    }

    #[test]
    fn questions_that_fail_together_are_one_failure() {
        let (one, many) = (endpoint(), endpoint());
        one.failed(1000, None, u32::MAX);
        for _ in 0..20 {
            many.failed(1000, None, u32::MAX);
        }
        assert_eq!(many.wait(1000), one.wait(1000));
    }

    #[test]
    fn no_row_of_failures_and_no_demand_outlasts_a_jobs_acknowledgement() {
        let endpoint = endpoint();
        let mut now = 1000;
        for _ in 0..40 {
            endpoint.failed(now, None, u32::MAX);
            assert!(endpoint.wait(now) <= Duration::from_secs(3));
            now += 3000;
        }
        endpoint.failed(now, Some(Duration::from_secs(3600)), u32::MAX);
        assert_eq!(endpoint.wait(now), Duration::from_secs(10));
    }
}
