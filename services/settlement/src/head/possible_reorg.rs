//! Whether included transactions have to be compared with the chain, because blocks may have been taken back.

use std::sync::atomic::{AtomicU64, Ordering};

/// That blocks may have been taken back: reported from several sides, and answered by a comparison. What is reported while
/// one is under way waits for the next.
#[derive(Debug, Default)]
pub(crate) struct PossibleReorg {
    reported: AtomicU64,
    answered: AtomicU64,
}

/// All reports until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reports(u64);

impl PossibleReorg {
    /// Blocks may have been taken back.
    pub(crate) fn report(&self) -> Reports {
        Reports(self.reported.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The reports until now, if one of them has no answer.
    pub(crate) fn open(&self) -> Option<Reports> {
        let reported = self.reported.load(Ordering::SeqCst);
        (reported != self.answered.load(Ordering::SeqCst)).then_some(Reports(reported))
    }

    /// A comparison that began after these reports has come to its end.
    pub(crate) fn answer(&self, reports: Reports) {
        self.answered.fetch_max(reports.0, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_during_a_comparison_waits_for_the_next() {
        let reorg = PossibleReorg::default();
        assert_eq!(reorg.open(), None);
        let first = reorg.report();
        assert_eq!(reorg.open(), Some(first));
        let second = reorg.report();
        reorg.answer(first);
        assert_eq!(reorg.open(), Some(second));
        reorg.answer(second);
        assert_eq!(reorg.open(), None);
        reorg.answer(first);
        assert_eq!(reorg.open(), None, "an older answer takes nothing back");
    }
}
