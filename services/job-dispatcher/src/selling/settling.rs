//! The end of a job: its answer uploaded and claimed, or a claim of nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use t4t_api::settlement::TransactionIntent;
use t4t_clock::timeout;
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, SwarmRef, Xbzz};
use tracing::warn;

use super::service::Seller;
use super::work::WorkError;

/// Attempts to upload an answer before the sweep tries again later.
const UPLOADS: u32 = 5;

/// How long the reason of a refusal may take to upload.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(2);

impl Seller {
    pub(super) async fn upload_answer(&self, row: &SellingJob) -> Result<(), WorkError> {
        let sealed = self.ledger.store.selling_sealed_answer(row.job).await?;
        let Some(sealed) = sealed else { return Err(WorkError::Upload) };
        let reference = self.upload_retrying(row, sealed).await?;
        KillPoint::SellingUploaded.pass();
        self.ledger.happened(row, SellingStep::Uploaded { response_hash: reference }).await?;
        KillPoint::SellingReferenced.pass();
        Ok(())
    }

    async fn upload_retrying(&self, row: &SellingJob, sealed: Bytes) -> Result<SwarmRef, WorkError> {
        for attempt in 1..=UPLOADS {
            match self.courier.upload_answer(sealed.clone().into()).await {
                Ok(reference) => match self.courier.stuck() {
                    None => return Ok(reference),
                    // Nobody could read what would be claimed.
                    Some(trouble) => {
                        warn!(job = %row.job, %trouble, "an answer is not claimed yet: it reached nobody");
                        return Err(WorkError::Upload);
                    }
                },
                Err(error) => {
                    warn!(job = %row.job, attempt, %error, "an answer could not be uploaded");
                    self.clock.sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                }
            }
        }
        Err(WorkError::Upload)
    }

    /// Claims a job and tells its client, side by side: neither waits for the other.
    pub(super) async fn settle(self: &Arc<Self>, row: SellingJob) -> Result<(), WorkError> {
        if self.settling.contains(&row.job) {
            return Ok(());
        }
        let (claimed, ()) = futures_util::future::join(self.claim(&row), self.announce(&row)).await;
        KillPoint::SellingAnnounced.pass();
        claimed?;
        self.settling.insert(row.job);
        self.announce_again(row);
        Ok(())
    }

    async fn claim(&self, row: &SellingJob) -> Result<(), WorkError> {
        let (response_hash, paid) = row.claim()?;
        let intent = TransactionIntent::ClaimJob { job: row.job, response_hash, paid };
        self.submit_claim(row, intent).await?;
        KillPoint::SellingClaimed.pass();
        Ok(())
    }

    /// Sends the refusal of a job whose row says so.
    pub(super) async fn refuse_now(&self, job: JobId) -> Result<(), WorkError> {
        match self.ledger.store.selling_by_job(job).await? {
            Some(row) if row.state == SellingState::Refusing => self.refuse(&row).await,
            _ => Ok(()),
        }
    }

    /// Closes a job with a claim of nothing, naming the reason's reference if there is one.
    pub(super) async fn refuse(&self, row: &SellingJob) -> Result<(), WorkError> {
        let job = row.job;
        if self.settling.contains(&job) {
            return Ok(());
        }
        // Best effort: the refund must not wait for the explanation.
        let reason_at = match self.ledger.store.selling_sealed_answer(job).await? {
            // An answer that came too late is no reason, and not to be had for nothing.
            Some(sealed) if row.usage.is_none() => {
                let uploading = Box::pin(self.courier.upload_answer(sealed.into()));
                timeout(&*self.clock, EXPLANATION_LIMIT, uploading).await.ok().and_then(Result::ok)
            }
            _ => None,
        };

        let intent = match reason_at {
            Some(response_hash) => TransactionIntent::ClaimJob { job, response_hash, paid: Xbzz::ZERO },
            None => TransactionIntent::RefuseJob { job },
        };
        self.submit_claim(row, intent).await?;
        self.settling.insert(job);
        Ok(())
    }
}
