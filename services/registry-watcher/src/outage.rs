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
    /// Takes note of a failed look and returns whether it was worth a warning.
    pub(crate) fn failed(&mut self, error: &SyncError, now_ms: u64) -> bool {
        let failing = self.now.get_or_insert(Failing {
            since_ms: now_ms,
            warn_at_ms: now_ms,
            pause_ms: FIRST_PAUSE_MS,
            failures: 0,
        });
        failing.failures += 1;
        if now_ms < failing.warn_at_ms {
            return false;
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
        true
    }

    /// Takes note of a look that succeeded and returns whether an outage ended with it.
    pub(crate) fn ended(&mut self, now_ms: u64) -> bool {
        let Some(failing) = self.now.take() else { return false };
        let after_s = now_ms.saturating_sub(failing.since_ms) / 1000;
        tracing::info!(failures = failing.failures, after_s, "the chain is back");
        true
    }
}

#[cfg(test)]
mod tests {
    use t4t_chain::ChainError;

    use super::*;

    #[test]
    fn an_outage_is_said_at_once_then_ever_more_seldom_and_its_end_once() {
        let error = SyncError::Chain(ChainError::Setup("none".into()));
        let mut outage = Outage::default();
        let said: Vec<u64> = (0..3600).filter(|second| outage.failed(&error, second * 1000)).collect();
        assert_eq!(said, [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]);
        assert!(outage.ended(3_600_000));
        assert!(!outage.ended(3_601_000));
        assert!(outage.failed(&error, 3_602_000));
    }
}
