//! Deciding not to serve a job, and what its client is told.

use t4t_clock::SharedClock;
use t4t_inference::Refusal;
use t4t_protocol::job::SellingStep;
use t4t_runtime::KillPoint;
use t4t_store::StoreError;
use t4t_store::selling::{SellingJob, SellingRow};
use t4t_types::{Address, EncryptionKey};

use super::rows::Rows;
use crate::selling::serving::{declined, seal_answer};

/// Stores refusals; the claim of nothing comes after.
#[derive(Clone)]
pub(super) struct Refusals {
    pub(super) provider: Address,
    pub(super) rows: Rows,
    pub(super) clock: SharedClock,
}

impl Refusals {
    /// Decides to refuse a job, and tells its client why, by the key to which an answer would be sealed.
    pub(super) async fn explain(
        &self,
        row: &SellingJob,
        client_key: &EncryptionKey,
        refusal: Refusal,
    ) -> Result<(), StoreError> {
        let (job_id, now) = (row.request_hash.routing_id(), self.clock.now());
        let sealed = seal_answer(job_id, self.provider, client_key, declined(&refusal), now);
        // A key that nothing can be sealed to is no reason not to refuse.
        let Ok(sealed) = sealed else { return self.decide(row, &refusal.message).await };
        let (reason, explanation) = (refusal.message, Some(sealed.into()));
        self.store(row.into(), SellingStep::RefusalDecided { reason, explanation }).await
    }

    /// Decides to refuse a job whose request could not be had, and tells its client by the key of its notice, if one came:
    /// the request that names it is not there.
    pub(super) async fn explain_by_notice(&self, row: &SellingJob, reason: &str) -> Result<(), StoreError> {
        match self.rows.store.notice_by_request(row.client, row.request_hash).await {
            Ok(Some(notice)) => self.explain(row, &notice.client_key, Refusal::failed(reason)).await,
            _ => self.decide(row, reason).await,
        }
    }

    /// Decides to refuse a job.
    pub(super) async fn decide(&self, row: &SellingJob, reason: &str) -> Result<(), StoreError> {
        let decided = SellingStep::RefusalDecided { reason: reason.to_owned(), explanation: None };
        self.store(row.job.into(), decided).await
    }

    async fn store(&self, row: SellingRow, decided: SellingStep) -> Result<(), StoreError> {
        self.rows.happened(row, decided).await?;
        KillPoint::SellingRefusing.pass();
        Ok(())
    }
}
