//! The worst of all scenarios, for the table.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use t4t_testkit::chaos::Row;

use super::play::Outcome;

/// The number of these rows in the table.
const ROW: u8 = 1;

#[derive(Default)]
struct Worst {
    runs: u64,
    answered: u64,
    deaths: u64,
    recovery: Duration,
    jobs: usize,
    claims: usize,
    calls: u64,
    calls_after_stored: u64,
}

/// The worst of all scenarios so far.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Worst>);

impl Tally {
    /// Counts a scenario.
    pub(crate) fn add(&self, outcome: &Outcome) {
        let mut worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        worst.runs += 1;
        worst.answered += u64::from(outcome.is_answered());
        worst.deaths += u64::from(outcome.deaths);
        worst.recovery = worst.recovery.max(outcome.recovery);
        worst.jobs = worst.jobs.max(outcome.jobs);
        worst.claims = worst.claims.max(outcome.claims);
        worst.calls = worst.calls.max(outcome.calls);
        worst.calls_after_stored = worst.calls_after_stored.max(outcome.calls_after_stored);
    }

    /// What is reported.
    pub(crate) fn row(&self, tried: &str) -> Row {
        let worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = format!(
            "{} deaths, {} answered, the others told; at most {} post and {} claim a request, {} inference calls after a \
             stored answer, {} overall; slowest recovery {:.1} s",
            worst.deaths,
            worst.answered,
            worst.jobs,
            worst.claims,
            worst.calls_after_stored,
            worst.calls,
            worst.recovery.as_secs_f64()
        );
        Row::new(ROW, tried, worst.runs, found)
    }
}
