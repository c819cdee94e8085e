//! Whether included transactions have to be compared with the chain, because blocks may have been taken back.

use std::sync::atomic::{AtomicU64, Ordering};

/// A doubt that is raised from several sides and settled from one. What is raised while a comparison is under way
/// outlives it.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    raised: AtomicU64,
    settled: AtomicU64,
}

/// The doubts that a comparison answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raised(u64);

impl Doubt {
    /// Blocks may have been taken back.
    pub(crate) fn raise(&self) -> Raised {
        Raised(self.raised.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Whether there is one.
    pub(crate) fn is_open(&self) -> bool {
        self.raised.load(Ordering::SeqCst) != self.settled.load(Ordering::SeqCst)
    }

    /// What was raised until now.
    pub(crate) fn raised(&self) -> Raised {
        Raised(self.raised.load(Ordering::SeqCst))
    }

    /// All that was raised until then is answered.
    pub(crate) fn settle(&self, until: Raised) {
        self.settled.fetch_max(until.0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_that_is_raised_during_a_comparison_outlives_it() {
        let doubt = Doubt::default();
        assert!(!doubt.is_open());
        let first = doubt.raise();
        doubt.raise();
        doubt.settle(first);
        assert!(doubt.is_open());
        doubt.settle(doubt.raised());
        assert!(!doubt.is_open());
        doubt.settle(first);
        assert!(!doubt.is_open(), "an older answer takes nothing back");
    }
}
