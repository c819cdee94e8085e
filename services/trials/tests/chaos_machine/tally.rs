//! The worst of all scenarios of a kind, for the table; and the dice.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use t4t_testkit::chaos::Row;
use t4t_testkit::ledger::JobEntry;

use super::ROW;

#[derive(Default)]
struct Worst {
    runs: u64,
    asked: usize,
    answered: usize,
    posts: usize,
    claims: usize,
    slowest: Duration,
    notes: u64,
}

/// What one scenario found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// Requests asked.
    pub(crate) asked: usize,
    /// Requests answered.
    pub(crate) answered: usize,
    /// The most jobs of one request.
    pub(crate) posts: usize,
    /// The most claims of one job.
    pub(crate) claims: usize,
    /// From the trouble's end until the app was told.
    pub(crate) slowest: Duration,
    /// What this suite counts besides.
    pub(crate) notes: u64,
}

/// The worst of all scenarios so far.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Worst>);

impl Tally {
    pub(crate) fn add(&self, found: Found) {
        let mut worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        worst.runs += 1;
        worst.asked += found.asked;
        worst.answered += found.answered;
        worst.posts = worst.posts.max(found.posts);
        worst.claims = worst.claims.max(found.claims);
        worst.slowest = worst.slowest.max(found.slowest);
        worst.notes += found.notes;
    }

    /// Reports a row; `noted` says what the suite counted besides, where it did.
    pub(crate) fn report(&self, tried: &str, noted: &str) -> anyhow::Result<()> {
        let worst = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let notes = if noted.is_empty() { String::new() } else { format!(", {} {noted}", worst.notes) };
        let found = format!(
            "{} of {} requests answered, the others told; at most {} post and {} claim a request, 0 slashed, app told at \
             most {:.1} s after the trouble's end{notes}",
            worst.answered,
            worst.asked,
            worst.posts,
            worst.claims,
            worst.slowest.as_secs_f64()
        );
        Row::new(ROW, tried, worst.runs, found).report()
    }
}

/// The most claims of a job.
pub(crate) fn most_claims(jobs: &[JobEntry]) -> usize {
    jobs.iter().map(|job| job.claims).max().unwrap_or_default()
}

/// Numbers that are the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    /// A time below `limit`.
    pub(crate) fn time(&mut self, limit: Duration) -> Duration {
        Duration::from_millis(self.throw(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)))
    }
}
