//! Putting an attempt's payment in escrow, and following it to its block.

use std::time::Duration;

use t4t_api::job_dispatcher::{BuyingError, BuyingProgress};
use t4t_api::settlement::{
    AwaitTransaction, SettlementError, SubmitTransaction, TransactionIntent, TransactionKey,
    TransactionOutcome, TransactionStatus,
};
use t4t_protocol::job::BuyingStep;
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use tracing::warn;

use super::attempt::Failed;
use super::board::Purchase;
use super::service::Buyer;

/// How long settlement is asked to wait for a transaction at a time.
const RECEIPT_WAIT_MS: u64 = 60_000;

impl Buyer {
    /// Whether settlement has a row's payment.
    pub(super) async fn is_submitted(&self, row: &BuyingJob) -> bool {
        let look = AwaitTransaction { key: post_key(row), wait_ms: 0 };
        !matches!(self.settlement.ask(look).await, Err(SettlementError::UnknownTransaction { .. }))
    }

    pub(super) async fn submit_post(&self, row: &BuyingJob) -> Result<TransactionStatus, Failed> {
        let intent = TransactionIntent::PostJob {
            provider: row.provider,
            request_hash: row.request_hash,
            model: row.model.clone(),
            max_payment: row.max_payment,
            delivery_deadline: row.delivery_deadline,
        };
        let submit = SubmitTransaction { key: post_key(row), intent };
        match self.settlement.ask(submit).await {
            Ok(status) => Ok(status),
            Err(error) => Err(self.not_posted(row, error).await),
        }
    }

    async fn not_posted(&self, row: &BuyingJob, error: SettlementError) -> Failed {
        let reason = error.to_string();
        let failed = match &error {
            SettlementError::OutOfXbzz { .. } => {
                let error = BuyingError::OutOfFunds { message: reason.clone() };
                Failed::TooDear { needs: row.max_payment, error }
            }
            SettlementError::OutOfGas { .. } => {
                Failed::Request(BuyingError::OutOfFunds { message: reason.clone() })
            }
            SettlementError::Refused { .. } => Failed::Provider(reason.clone()),
            _ => Failed::Request(BuyingError::Unavailable { reason: reason.clone() }),
        };
        // Where settlement can't say whether it stored the transaction, the row stays open: the sweep finds out.
        let is_certain = matches!(
            error,
            SettlementError::OutOfXbzz { .. }
                | SettlementError::OutOfGas { .. }
                | SettlementError::Refused { .. }
        ) || self.was_not_stored(row, &error).await;
        if is_certain {
            self.record(row, BuyingStep::PostFailed { reason }).await;
        }
        failed
    }

    /// Whether settlement gave up for want of a chain before it stored the payment: then it is not sent later either.
    async fn was_not_stored(&self, row: &BuyingJob, error: &SettlementError) -> bool {
        matches!(error, SettlementError::Chain { .. }) && !self.is_submitted(row).await
    }

    /// Waits for the escrow transaction's block.
    pub(super) async fn follow_post(
        &self,
        row: &BuyingJob,
        mut status: TransactionStatus,
        purchase: &Purchase,
    ) {
        loop {
            match status.outcome {
                TransactionOutcome::Mined { job: Some(job), .. } => {
                    purchase.push(BuyingProgress::Posted { job, transaction: status.hash });
                    self.record(row, BuyingStep::Posted { job }).await;
                    KillPoint::BuyingPosted.pass();
                    return;
                }
                TransactionOutcome::Mined { job: None, .. } => return,
                TransactionOutcome::Reverted { reason, .. } => {
                    self.record(row, BuyingStep::PostFailed { reason }).await;
                    return;
                }
                TransactionOutcome::Pending => {}
            }
            let wait = AwaitTransaction { key: post_key(row), wait_ms: RECEIPT_WAIT_MS };
            status = match self.settlement.ask(wait).await {
                Ok(status) => status,
                Err(error) => {
                    warn!(request = %row.request_id, %error, "the escrow transaction can't be followed now");
                    self.clock.sleep(Duration::from_secs(1)).await;
                    status
                }
            };
        }
    }
}

/// The key of an attempt's escrow transaction.
pub(super) fn post_key(row: &BuyingJob) -> TransactionKey {
    TransactionKey::new(format!("post:{}:{}", row.request_id, row.attempt))
}
