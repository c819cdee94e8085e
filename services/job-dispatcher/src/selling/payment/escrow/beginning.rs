//! Beginning a job: while its acknowledgement can still be in time.

use std::time::Duration;

use t4t_protocol::job::SellingStep;
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{EncryptionKey, JobStatus};

use super::acks::Acks;
use super::chain::Chain;
use super::config::EscrowConfig;
use super::delivery::EscrowDelivery;
use super::error::EscrowError;
use super::refusals::Refusals;
use super::rows::Rows;
use crate::selling::payment::Begun;

/// How long a request found after a restart is looked for.
const LATE_PATIENCE: Duration = Duration::from_secs(20);

/// Seconds, of those until a job is given up, in which an answer that was ended in time is sealed and stored (a quarter of
/// them if that is shorter): the sweep looks every two seconds, and the chain's time may be a block ahead of ours.
const WRAP_UP_SECONDS: u64 = 8;

/// Begins jobs.
pub(super) struct Beginning {
    pub(super) config: EscrowConfig,
    pub(super) chain: Chain,
    pub(super) rows: Rows,
    pub(super) acks: Acks,
    pub(super) refusals: Refusals,
}

impl Beginning {
    /// How long a job may wait for its request and its slot from now on; a fresh one until it has to be begun.
    pub(super) async fn patience(&self, row: &SellingJob, is_begun: bool) -> Result<Duration, EscrowError> {
        if is_begun {
            return Ok(LATE_PATIENCE);
        }
        let until = self.config.start_by(row);
        Ok(Duration::from_secs(until.since(self.chain.now().await?).max(1)))
    }

    /// Stores that a backend is asked, and acknowledges; `None` if the job is refused or over instead.
    pub(super) async fn begin(
        &self,
        row: &SellingJob,
        is_begun: bool,
        client_key: EncryptionKey,
    ) -> Result<Option<Begun>, EscrowError> {
        let chain_now = self.chain.now().await?;
        let is_acked = self.is_acked(row, is_begun).await?;
        if !is_acked && self.config.is_too_late_to_ack(row, chain_now) {
            self.refusals.decide(row, "too late to acknowledge it").await?;
            return Ok(None);
        }
        let left = self.config.give_up_at(row).since(chain_now);
        if left == 0 {
            self.refusals.decide(row, "the deadline is too near").await?;
            return Ok(None);
        }
        if self.rows.happened(row.job, SellingStep::Began).await?.is_none() {
            return Ok(None);
        }
        KillPoint::SellingBegan.pass();
        if !is_acked {
            self.acks.acknowledge(row);
        }
        // An answer that has not ended by then is ended, sealed and stored before the job would be given up.
        let limit = Duration::from_secs(left.saturating_sub(WRAP_UP_SECONDS.min(left / 4)).max(1));
        let with = (self.chain.clone(), self.rows.clone());
        let delivery = Box::new(EscrowDelivery::new(with, row.clone(), client_key));
        Ok(Some(Begun { limit, delivery }))
    }

    /// Whether the chain shows a job's acknowledgement; one that was never begun has none.
    async fn is_acked(&self, row: &SellingJob, is_begun: bool) -> Result<bool, EscrowError> {
        if !is_begun {
            return Ok(false);
        }
        Ok(self.chain.job(row.job).await?.status != JobStatus::Pending)
    }
}
