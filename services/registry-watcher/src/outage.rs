//! Says when the chain is lost and when it is back, without filling the log in between.

use crate::error::{SyncError, chain_of};

/// Time until the second warning; doubles with each further one.
const FIRST_PAUSE_MS: u64 = 10_000;

/// Longest time between two warnings.
const LONGEST_PAUSE_MS: u64 = 600_000;

/// Whether and since when looks at the chain fail.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    now: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since_ms: u64,
    warn_at_ms: u64,
    pause_ms: u64,
    failures: u64,
}

impl Outage {
    /// Takes note of a failed look.
    pub(crate) fn failed(&mut self, error: &SyncError, now_ms: u64) {
        let failing = self.now.get_or_insert(Failing {
            since_ms: now_ms,
            warn_at_ms: now_ms,
            pause_ms: FIRST_PAUSE_MS,
            failures: 0,
        });
        failing.failures += 1;
        if now_ms < failing.warn_at_ms {
            return;
        }
        let for_s = now_ms.saturating_sub(failing.since_ms) / 1000;
        let failures = failing.failures;
        tracing::warn!(
            error = chain_of(error),
            failures,
            for_s,
            "the chain can't be followed, going on with what is known"
        );
        failing.warn_at_ms = now_ms.saturating_add(failing.pause_ms);
        failing.pause_ms = failing.pause_ms.saturating_mul(2).min(LONGEST_PAUSE_MS);
    }

    /// Takes note of a look that succeeded.
    pub(crate) fn ended(&mut self, now_ms: u64) {
        if let Some(failing) = self.now.take() {
            let after_s = now_ms.saturating_sub(failing.since_ms) / 1000;
            tracing::info!(failures = failing.failures, after_s, "the chain is back");
        }
    }
}
