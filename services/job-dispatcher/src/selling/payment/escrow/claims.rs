//! Claims, and refusals as claims of nothing: handed to settlement, and once more where a reorganisation made them fail.

use std::sync::Arc;

use t4t_api::Settlement;
use t4t_api::settlement::{
    AwaitTransaction, EscrowIntent, SettlementError, SubmitTransaction, TransactionKey, TransactionOutcome,
};
use t4t_protocol::job::SellingState;
use t4t_store::selling::SellingJob;
use t4t_types::JobId;
use tracing::warn;

use super::chain::Chain;
use super::error::EscrowError;

/// How often a job is claimed at most; more than once only after reorganisations.
const MOST_CLAIMS: u32 = 8;

/// Has settlement claim jobs.
#[derive(Clone)]
pub(super) struct Claims {
    pub(super) settlement: Arc<dyn Settlement>,
    pub(super) chain: Chain,
}

impl Claims {
    /// Submits what settles a job; once more if the contract refused it while a reorganisation had taken the job away.
    pub(super) async fn submit(&self, row: &SellingJob, intent: EscrowIntent) -> Result<(), EscrowError> {
        for time in 1..=MOST_CLAIMS {
            let key = TransactionKey::claim(row.job).of_time(time);
            let status =
                self.settlement.ask(SubmitTransaction { key, intent: intent.clone().into() }).await?;
            let is_refused = matches!(status.outcome, TransactionOutcome::Reverted { .. });
            if !is_refused || !self.chain.is_claimable(row).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Claims a job again whose claim the contract refused, once it is there.
    pub(super) async fn again_if_refused(&self, row: &SellingJob) -> Result<(), EscrowError> {
        if !self.is_refused(row.job).await? || !self.chain.is_claimable(row).await? {
            return Ok(());
        }
        warn!(job = %row.job, "a claim was refused and the job is open: claiming it again");
        let job = row.job;
        let intent = match (row.state, row.response_hash, row.payment) {
            (SellingState::Uploaded, Some(response_hash), Some(paid)) => {
                EscrowIntent::ClaimJob { job, response_hash, paid: paid.min(row.max_payment) }
            }
            _ => EscrowIntent::RefuseJob { job },
        };
        self.submit(row, intent).await
    }

    /// Whether the last transaction that was to settle a job failed.
    async fn is_refused(&self, job: JobId) -> Result<bool, EscrowError> {
        let mut is_refused = false;
        for time in 1..=MOST_CLAIMS {
            let key = TransactionKey::claim(job).of_time(time);
            match self.settlement.ask(AwaitTransaction { key, wait_ms: 0 }).await {
                Ok(status) => is_refused = matches!(status.outcome, TransactionOutcome::Reverted { .. }),
                Err(SettlementError::UnknownTransaction { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(is_refused)
    }
}
