//! Whether settlement is stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::in_flight::InFlight;

/// Set once, when settlement stops.
#[derive(Debug)]
pub(crate) struct Stop {
    is_stopped: AtomicBool,
    in_flight: Arc<InFlight>,
}

impl Stop {
    pub(crate) const fn new(in_flight: Arc<InFlight>) -> Self {
        Self { is_stopped: AtomicBool::new(false), in_flight }
    }

    /// Has nothing new signed from now on, and whoever looks for receipts see that.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.in_flight.wake();
    }

    /// Whether nothing new is to be signed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }
}
