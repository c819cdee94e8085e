//! How long the escrow's jobs may take, and how long what is left of them is kept.

use std::time::Duration;

use t4t_protocol::ACK_WINDOW_SECONDS;
use t4t_store::selling::SellingJob;
use t4t_types::UnixSeconds;

/// What the operator decides about the escrow's jobs.
#[derive(Clone, Debug)]
pub(crate) struct EscrowConfig {
    /// How long after it was posted, in chain seconds, a job may wait for a free slot or its request.
    pub(crate) start_within_seconds: u64,
    /// How long before the delivery deadline, in chain seconds, work that is not done is given up and refused.
    pub(crate) give_up_seconds: u64,
    /// How long before the acknowledgement is due, in chain seconds, a job that is not acknowledged is refused instead.
    pub(crate) ack_margin_seconds: u64,
    /// How often open jobs are looked at.
    pub(crate) sweep_interval: Duration,
    /// For how long the answers of settled jobs are kept, sealed.
    pub(crate) keep_answers: Duration,
}

impl EscrowConfig {
    /// When work on a job that is not done is given up, in chain time.
    pub(super) fn give_up_at(&self, row: &SellingJob) -> UnixSeconds {
        let whole = row.delivery_deadline.since(posted_at(row));
        row.delivery_deadline.minus(self.give_up_seconds.min(whole / 3))
    }

    /// Until when a job must have been begun, in chain time.
    pub(super) fn start_by(&self, row: &SellingJob) -> UnixSeconds {
        posted_at(row).plus(self.start_within_seconds)
    }

    /// Whether it is too late for a job's acknowledgement to be in time.
    pub(super) fn is_too_late_to_ack(&self, row: &SellingJob, chain_now: UnixSeconds) -> bool {
        chain_now >= row.ack_deadline.minus(self.ack_margin_seconds)
    }
}

fn posted_at(row: &SellingJob) -> UnixSeconds {
    row.ack_deadline.minus(ACK_WINDOW_SECONDS)
}
