//! How a node passes deferred uploads on: one after the other, at its pace.

use crate::Faults;

/// When what is never passed on arrives elsewhere.
pub(crate) const NEVER: u64 = u64::MAX;

/// One node's queue of chunks.
#[derive(Debug, Default)]
pub(crate) struct Pusher {
    /// When all that was queued so far is pushed, in microseconds since 1970.
    free_at_us: u64,
}

impl Pusher {
    /// Queues a chunk and says when other nodes can read it, in milliseconds since 1970.
    pub(crate) fn push(&mut self, bytes: usize, now_ms: u64, faults: &Faults) -> u64 {
        let begins_us = self.free_at_us.max(now_ms.saturating_mul(1000));
        let takes_us = (bytes as u64).saturating_mul(1_000_000).checked_div(faults.deferred_bytes_a_second);
        self.free_at_us = begins_us.saturating_add(takes_us.unwrap_or(0));
        (self.free_at_us / 1000).saturating_add(faults.deferred_delay_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_arrive_one_after_the_other_and_those_of_the_next_upload_behind_them() {
        let faults = Faults { deferred_bytes_a_second: 1000, ..Faults::default() };
        let mut pusher = Pusher::default();
        let arrivals: Vec<u64> = (0..3).map(|_| pusher.push(100, 5000, &faults)).collect();
        assert_eq!(arrivals, [5100, 5200, 5300]);
        assert_eq!(pusher.push(100, 5150, &faults), 5400);
        assert_eq!(pusher.push(100, 9000, &faults), 9100);
        assert_eq!(Pusher::default().push(1 << 20, 7, &Faults::default()), 7, "all at once without a rate");
    }
}
