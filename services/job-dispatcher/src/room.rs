//! Memory for what peers make us fetch: they choose how large it is and how often they ask.
//!
//! What is small needs no room. What is larger waits for it, and only those of the same size wait for each other.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Up to so many bytes no room is needed: a chain's block holds some dozens of jobs.
pub(crate) const SMALL_BYTES: usize = 64 << 10;

/// The next size in bytes, and how many of it there may be: 16 MiB together, as much as one of the largest.
const MIDDLE: (usize, usize) = (2 << 20, 8);

/// Room for payloads.
#[derive(Clone, Debug)]
pub(crate) struct Rooms {
    sizes: Arc<[Size]>,
}

/// Room for payloads of a size.
#[derive(Debug)]
pub(crate) struct Size {
    /// The longest that fits, in bytes.
    pub(crate) bytes: usize,
    room: Arc<Semaphore>,
}

impl Rooms {
    /// Room for payloads of up to `largest` bytes.
    pub(crate) fn new(largest: usize) -> Self {
        let size = |(bytes, count)| Size { bytes, room: Arc::new(Semaphore::new(count)) };
        Self { sizes: [MIDDLE, (largest, 1)].map(size).into() }
    }

    /// The sizes for which room is needed, the smaller first: how long something is shows when it is fetched.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = &Size> {
        self.sizes.iter()
    }
}

impl Size {
    /// Waits for room; it is free again when this is dropped.
    pub(crate) async fn enter(&self) -> Room {
        // It is never closed; without a permit the bound would be missing, and nothing else.
        Room { _permit: Arc::clone(&self.room).acquire_owned().await.ok() }
    }
}

/// Room that is taken.
#[derive(Debug, Default)]
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_largest_wait_for_each_other_and_others_do_not_wait_for_them() {
        let rooms = Rooms::new(16 << 20);
        let [middle, large] = rooms.sizes().collect::<Vec<_>>().try_into().unwrap();
        assert_eq!([middle.bytes, large.bytes], [2 << 20, 16 << 20]);
        let taken = large.enter().await;
        assert!(large.enter().now_or_never().is_none(), "one at a time");
        let many: Vec<Room> = futures_util::future::join_all((0..8).map(|_| middle.enter())).await;
        assert!(middle.enter().now_or_never().is_none());
        drop((taken, many));
        assert!(large.enter().now_or_never().is_some() && middle.enter().now_or_never().is_some());
    }
}
