//! The slots of a runner: as many requests at a time, and none any more once it stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A slot that is taken. Dropping it gives it back.
pub(crate) type Slot = OwnedSemaphorePermit;

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// All of them are taken.
    Full,
    /// No more requests are taken.
    Closed,
}

/// The slots.
#[derive(Debug)]
pub(crate) struct Slots {
    count: u32,
    free: Arc<Semaphore>,
    is_closed: AtomicBool,
}

impl Slots {
    /// So many slots, all of them free.
    pub(crate) fn new(count: u32) -> Self {
        let free = Arc::new(Semaphore::new(count as usize));
        Self { count, free, is_closed: AtomicBool::new(false) }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How many are taken.
    pub(crate) fn busy(&self) -> u32 {
        let free = u32::try_from(self.free.available_permits()).unwrap_or(self.count);
        self.count.saturating_sub(free)
    }

    /// Takes one, if one is free.
    pub(crate) fn take(&self) -> Result<Slot, NoSlot> {
        if self.is_closed() {
            return Err(NoSlot::Closed);
        }
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| NoSlot::Full)
    }

    /// Gives none any more.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Whether it gives none any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Waits until all of them are free.
    pub(crate) async fn all_free(&self) {
        let _all = self.free.acquire_many(self.count).await;
    }
}
