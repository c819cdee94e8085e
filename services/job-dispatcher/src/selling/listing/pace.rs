//! How often the registry's entry is changed: each change is a transaction, and runners and backends come and go.

use t4t_panics::{Lock, LockGuard};

/// Changes that may follow each other at once; then one in each pause.
const AT_ONCE: u32 = 10;
const PAUSE_MS: u64 = 120_000;

/// How long there must be more slots than are published, before that is published: runners start one after the other.
const MORE_FOR_MS: u64 = 5_000;

/// How long there must be fewer: a runner that restarts is back by then.
const FEWER_FOR_MS: u64 = 60_000;

/// When the entry may be changed.
#[derive(Debug, Default)]
pub(super) struct Pace(Lock<State>);

#[derive(Debug, Default)]
struct State {
    /// Changes that count against [`AT_ONCE`], and since when.
    spent: u32,
    spent_since_ms: u64,
    /// Whether there are more slots than are published, or fewer, and since when.
    differs: Option<(bool, u64)>,
}

impl Pace {
    fn state(&self) -> LockGuard<'_, State> {
        self.0.lock()
    }

    /// Whether the entry may be changed now; it counts as changed.
    pub(super) fn take(&self, now_ms: u64) -> bool {
        let mut state = self.state();
        let pauses = now_ms.saturating_sub(state.spent_since_ms) / PAUSE_MS;
        if pauses > 0 {
            state.spent = state.spent.saturating_sub(u32::try_from(pauses).unwrap_or(u32::MAX));
            state.spent_since_ms = now_ms - now_ms.saturating_sub(state.spent_since_ms) % PAUSE_MS;
        }
        let may = state.spent < AT_ONCE;
        state.spent += u32::from(may);
        may
    }

    /// Whether a number of slots has differed from the published one for long enough to be published.
    pub(super) fn is_steady(&self, slots: u32, published: u32, now_ms: u64) -> bool {
        let mut state = self.state();
        if slots == published {
            state.differs = None;
            return false;
        }
        let is_more = slots > published;
        let since_ms = match state.differs {
            Some((was_more, since_ms)) if was_more == is_more => since_ms,
            _ => now_ms,
        };
        state.differs = Some((is_more, since_ms));
        let lasts = if is_more { MORE_FOR_MS } else { FEWER_FOR_MS };
        // 0 is no limit at all: nothing was published yet.
        published == 0 || now_ms.saturating_sub(since_ms) >= lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_comes_and_goes_for_a_day_costs_a_bounded_number_of_transactions() {
        let pace = Pace::default();
        let (mut published, mut changes) = (12, 0);
        let begin_ms = 1_700_000_000_000;
        for second in 0..86_400_u64 {
            let now_ms = begin_ms + second * 1000;
            // Away for 70 s, back for 20 s: long enough each time to be published.
            let slots = if second % 90 < 70 { 8 } else { 12 };
            if pace.is_steady(slots, published, now_ms) && pace.take(now_ms) {
                (published, changes) = (slots, changes + 1);
            }
        }
        assert!((700..=740).contains(&changes), "{changes} changes in a day");
    }

    #[test]
    fn a_restart_publishes_nothing_and_more_slots_are_published_soon() {
        let pace = Pace::default();
        let steady = |slots, published, now_ms| pace.is_steady(slots, published, now_ms);
        assert!(!steady(8, 12, 0) && !steady(8, 12, 59_000) && !steady(12, 12, 59_500));
        assert!(!steady(8, 12, 60_000) && !steady(4, 12, 100_000), "the time begins anew");
        assert!(steady(4, 12, 120_000), "and counts for any number below");
        assert!(!steady(8, 4, 200_000) && !steady(12, 4, 204_000) && steady(12, 4, 205_000));
        assert!(steady(4, 0, 300_000), "the first is published at once");
    }
}
