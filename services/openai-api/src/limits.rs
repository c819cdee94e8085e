//! What bounds the work and the memory: slots for completions, and bytes for their bodies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::GatewayError;

/// When an app that was turned away may try again, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// Bytes that one permit of the memory stands for: a semaphore can't count every byte of a large memory.
const BLOCK: usize = 4096;

/// The edge's limits.
#[derive(Debug)]
pub(crate) struct Limits {
    slots: Arc<Semaphore>,
    blocks: Arc<Semaphore>,
}

/// One completion's right to be worked on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// The memory that one body takes, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    blocks: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    covered: usize,
}

const FULL: GatewayError = GatewayError::Full { retry_after_s: RETRY_AFTER_S };

impl Limits {
    /// Limits of `slots` completions and `bytes` of bodies.
    pub(crate) fn new(slots: usize, bytes: usize) -> Self {
        let slots = slots.min(Semaphore::MAX_PERMITS);
        Self { slots: Arc::new(Semaphore::new(slots)), blocks: Arc::new(Semaphore::new(bytes / BLOCK)) }
    }

    /// Takes a slot, or says that all are taken: nobody waits here.
    pub(crate) fn slot(&self) -> Result<Slot, GatewayError> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| FULL)?;
        Ok(Slot { _permit: permit })
    }

    /// Whether a slot is free now.
    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        if self.slots.available_permits() == 0 { Err(FULL) } else { Ok(()) }
    }

    /// Memory for one body, of no bytes yet.
    pub(crate) fn memory(&self) -> HeldBytes {
        HeldBytes { blocks: Arc::clone(&self.blocks), permit: None, covered: 0 }
    }
}

impl HeldBytes {
    /// Whether about `length` bytes are held or more.
    pub(crate) fn is_at_least(&self, length: usize) -> bool {
        self.covered >= length
    }

    /// Takes as much more as a body of `length` bytes needs, or says that there is none left.
    pub(crate) fn cover(&mut self, length: usize) -> Result<(), GatewayError> {
        if length <= self.covered {
            return Ok(());
        }
        let missing = (length - self.covered).div_ceil(BLOCK);
        let count = u32::try_from(missing).map_err(|_| FULL)?;
        let more = Arc::clone(&self.blocks).try_acquire_many_owned(count).map_err(|_| FULL)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.covered += missing * BLOCK;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let limits = Limits::new(1, 0);
        let slot = limits.slot().unwrap();
        assert!(limits.check().is_err());
        assert!(limits.slot().is_err());
        drop(slot);
        assert!(limits.check().is_ok());
        assert!(limits.slot().is_ok());
    }

    #[test]
    fn bodies_share_one_memory_and_give_it_back() {
        let limits = Limits::new(1, 10 * BLOCK);
        let mut first = limits.memory();
        first.cover(1).unwrap();
        first.cover(BLOCK).unwrap();
        first.cover(6 * BLOCK).unwrap();
        assert!(limits.memory().cover(5 * BLOCK).is_err());
        limits.memory().cover(4 * BLOCK).unwrap();
        drop(first);
        limits.memory().cover(10 * BLOCK).unwrap();
    }
}
