//! The memory budget for downloads: peers choose how large a payload is and how often they ask.
//!
//! What is small needs no share of it. What is larger waits for one, and only those of the same size wait for each other.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Up to so many bytes no share is needed: a chain's block holds some dozens of jobs.
pub(super) const SMALL_BYTES: usize = 64 << 10;

/// The next size in bytes, and how many of it there may be: 16 MiB together, as much as one of the largest.
const MIDDLE: (usize, usize) = (2 << 20, 8);

/// Memory for payloads, shared by those of a size.
#[derive(Clone, Debug)]
pub(super) struct DownloadBudget {
    /// The smaller first: how long something is shows when it is fetched.
    classes: Arc<[SizeClass; 2]>,
}

/// The shares for payloads of a size.
#[derive(Debug)]
pub(super) struct SizeClass {
    /// The longest that fits, in bytes.
    pub(super) bytes: usize,
    shares: Arc<Semaphore>,
}

impl DownloadBudget {
    /// A budget for payloads of up to `largest` bytes.
    pub(super) fn new(largest: usize) -> Self {
        let class = |(bytes, count)| SizeClass { bytes, shares: Arc::new(Semaphore::new(count)) };
        Self { classes: Arc::new([MIDDLE, (largest, 1)].map(class)) }
    }

    /// Where `bytes` fit; `None` if they are more than is let in at all.
    pub(super) fn class_of(&self, bytes: usize) -> Option<&SizeClass> {
        self.classes.iter().find(|class| bytes <= class.bytes)
    }

    /// The longest payload that is let in, in bytes.
    pub(super) fn largest(&self) -> usize {
        self.classes.iter().map(|class| class.bytes).max().unwrap_or(SMALL_BYTES)
    }
}

impl SizeClass {
    /// Waits for a share; it is free again when it is dropped.
    pub(super) async fn share(&self) -> BudgetShare {
        // It is never closed; without a permit the bound would be missing, and nothing else.
        BudgetShare { _permit: Arc::clone(&self.shares).acquire_owned().await.ok() }
    }
}

/// A share of the memory for downloads, given back when it is dropped.
#[derive(Debug, Default)]
pub struct BudgetShare {
    _permit: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_largest_wait_for_each_other_and_others_do_not_wait_for_them() {
        let budget = DownloadBudget::new(16 << 20);
        let [middle, large] = [1, 3 << 20].map(|bytes| budget.class_of(bytes).unwrap());
        assert_eq!([middle.bytes, large.bytes], [2 << 20, 16 << 20]);
        let taken = large.share().await;
        assert!(large.share().now_or_never().is_none(), "one at a time");
        let many: Vec<BudgetShare> = futures_util::future::join_all((0..8).map(|_| middle.share())).await;
        assert!(middle.share().now_or_never().is_none());
        drop((taken, many));
        assert!(large.share().now_or_never().is_some() && middle.share().now_or_never().is_some());
    }

    #[test]
    fn what_is_larger_than_any_payload_is_not_let_in() {
        let budget = DownloadBudget::new(16 << 20);
        assert!(budget.class_of(16 << 20).is_some() && budget.class_of((16 << 20) + 1).is_none());
        assert_eq!(budget.largest(), 16 << 20);
    }
}
