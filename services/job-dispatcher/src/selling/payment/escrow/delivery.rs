//! The answer of one of the escrow's jobs: collected, billed, sealed and stored.

use std::time::Duration;

use async_trait::async_trait;
use t4t_api::inference_runner::RunnerError;
use t4t_inference::Piece;
use t4t_protocol::job::SellingStep;
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{EncryptionKey, TokenUsage, Xbzz};
use tracing::warn;

use super::chain::Chain;
use super::error::EscrowError;
use super::rows::Rows;
use crate::selling::payment::{Delivery, PaymentError};
use crate::selling::serving::{PieceSink, Whole, seal_answer};

/// The pause before an answer is stored again where that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Collects the answer of one job.
pub(super) struct EscrowDelivery {
    chain: Chain,
    rows: Rows,
    row: SellingJob,
    client_key: EncryptionKey,
    whole: Whole,
}

impl EscrowDelivery {
    pub(super) fn new((chain, rows): (Chain, Rows), row: SellingJob, client_key: EncryptionKey) -> Self {
        Self { chain, rows, row, client_key, whole: Whole::default() }
    }

    async fn bill_and_store(mut self) -> Result<TokenUsage, EscrowError> {
        KillPoint::SellingRan.pass();
        let (response, usage) = self.whole.take_answer().ok_or(EscrowError::NoAnswer)?;
        let payment = cost(&self.row, usage);
        let (job_id, now) = (self.row.request_hash.routing_id(), self.chain.clock.now());
        let sealed = seal_answer(job_id, self.chain.wallet, &self.client_key, response, now)?;
        self.store(SellingStep::Answered { sealed: sealed.into(), usage, payment }).await?;
        KillPoint::SellingAnswered.pass();
        Ok(usage)
    }

    /// Stores a finished inference; tries again, for as long as it can be claimed, while the disk is full or locked.
    async fn store(&self, answered: SellingStep) -> Result<(), EscrowError> {
        let mut is_told = false;
        loop {
            let stored = self.rows.happened(&self.row, answered.clone()).await;
            let Err(error) = stored else { return Ok(()) };
            if !error.is_passing() || self.chain.is_past(self.row.delivery_deadline).await {
                return Err(error.into());
            }
            if !is_told {
                warn!(job = %self.row.job, error = &error as &dyn std::error::Error, "an answer waits to be stored");
                is_told = true;
            }
            self.chain.clock.sleep(RETRY).await;
        }
    }
}

#[async_trait]
impl PieceSink for EscrowDelivery {
    async fn take(&mut self, piece: Piece) -> Result<(), RunnerError> {
        self.whole.take(piece).await
    }

    fn may_start_over(&self) -> bool {
        self.whole.may_start_over()
    }
}

#[async_trait]
impl Delivery for EscrowDelivery {
    async fn finish(self: Box<Self>) -> Result<TokenUsage, PaymentError> {
        Ok(self.bill_and_store().await?)
    }
}

/// What a run costs: prices as they were when the job was found, never above the escrow.
fn cost(row: &SellingJob, usage: TokenUsage) -> Xbzz {
    row.prices.cost(usage).unwrap_or(row.max_payment).min(row.max_payment)
}
