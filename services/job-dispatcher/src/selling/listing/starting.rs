//! Whether this process has only just started.

use std::time::Duration;

use t4t_clock::SharedClock;

/// When the process started, and for how long that matters.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    clock: SharedClock,
    until_ms: u64,
}

impl Starting {
    /// Starts now; for as long as a runner's lease.
    pub(super) fn new(clock: SharedClock, lease: Duration) -> Self {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        Self { until_ms: clock.unix_millis().saturating_add(lease_ms), clock }
    }

    /// Whether the runners may not have found this process yet.
    pub(super) fn is_now(&self) -> bool {
        self.clock.unix_millis() < self.until_ms
    }
}
