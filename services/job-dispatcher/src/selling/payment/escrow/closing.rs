//! The end of a job: its answer uploaded and claimed, or a claim of nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use t4t_api::settlement::EscrowIntent;
use t4t_clock::{SharedClock, timeout};
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, SwarmRef, Xbzz};
use tracing::warn;

use super::announcer::Announcer;
use super::claims::Claims;
use super::error::EscrowError;
use super::rows::Rows;
use crate::carriage::Courier;
use crate::selling::job_set::JobSet;

/// Attempts to upload an answer before the sweep tries again later.
const UPLOADS: u32 = 5;

/// How long the reason of a refusal may take to upload.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(2);

/// Closes jobs.
#[derive(Clone)]
pub(super) struct Closing {
    pub(super) rows: Rows,
    pub(super) courier: Arc<dyn Courier>,
    pub(super) claims: Claims,
    pub(super) announcer: Announcer,
    /// Jobs whose claim this process handed to settlement.
    pub(super) claimed: JobSet,
    pub(super) clock: SharedClock,
}

impl Closing {
    /// Takes a job that is answered or refused to its claim.
    pub(super) async fn close(&self, row: SellingJob) -> Result<(), EscrowError> {
        let mut row = row;
        loop {
            match row.state {
                SellingState::Answered => self.upload_answer(&row).await?,
                SellingState::Uploaded => return self.settle(row).await,
                SellingState::Refusing => return self.refuse(&row).await,
                _ => return Ok(()),
            }
            let Some(next) = self.rows.store.selling_by_job(row.job).await? else { return Ok(()) };
            row = next;
        }
    }

    async fn upload_answer(&self, row: &SellingJob) -> Result<(), EscrowError> {
        let sealed = self.rows.store.selling_sealed_answer(row.job).await?;
        let Some(sealed) = sealed else { return Err(EscrowError::Upload) };
        let reference = self.upload_retrying(row, sealed).await?;
        KillPoint::SellingUploaded.pass();
        self.rows.happened(row, SellingStep::Uploaded { response_hash: reference }).await?;
        KillPoint::SellingReferenced.pass();
        Ok(())
    }

    async fn upload_retrying(&self, row: &SellingJob, sealed: Bytes) -> Result<SwarmRef, EscrowError> {
        for attempt in 1..=UPLOADS {
            match self.courier.upload_answer(sealed.clone()).await {
                Ok(reference) => match self.courier.stuck() {
                    None => return Ok(reference),
                    // Nobody could read what would be claimed.
                    Some(trouble) => {
                        warn!(job = %row.job, %trouble, "an answer is not claimed yet: it reached nobody");
                        return Err(EscrowError::Upload);
                    }
                },
                Err(error) => {
                    warn!(job = %row.job, attempt, %error, "an answer could not be uploaded");
                    self.clock.sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                }
            }
        }
        Err(EscrowError::Upload)
    }

    /// Claims a job and tells its client, side by side: neither waits for the other.
    async fn settle(&self, row: SellingJob) -> Result<(), EscrowError> {
        if self.claimed.contains(&row.job) {
            return Ok(());
        }
        let (claimed, ()) = futures_util::future::join(self.claim(&row), self.announcer.announce(&row)).await;
        KillPoint::SellingAnnounced.pass();
        claimed?;
        self.claimed.insert(row.job);
        self.announcer.announce_again(row);
        Ok(())
    }

    async fn claim(&self, row: &SellingJob) -> Result<(), EscrowError> {
        let (response_hash, paid) = row.claim()?;
        let intent = EscrowIntent::ClaimJob { job: row.job, response_hash, paid };
        self.claims.submit(row, intent).await?;
        KillPoint::SellingClaimed.pass();
        Ok(())
    }

    /// Sends the refusal of a job whose row says so.
    pub(super) async fn refuse_now(&self, job: JobId) -> Result<(), EscrowError> {
        match self.rows.store.selling_by_job(job).await? {
            Some(row) if row.state == SellingState::Refusing => self.refuse(&row).await,
            _ => Ok(()),
        }
    }

    /// Closes a job with a claim of nothing, naming the reason's reference if there is one.
    async fn refuse(&self, row: &SellingJob) -> Result<(), EscrowError> {
        let job = row.job;
        if self.claimed.contains(&job) {
            return Ok(());
        }
        // Best effort: the refund must not wait for the explanation.
        let reason_at = match self.rows.store.selling_sealed_answer(job).await? {
            // An answer that came too late is no reason, and not to be had for nothing.
            Some(sealed) if row.usage.is_none() => {
                let uploading = Box::pin(self.courier.upload_answer(sealed));
                timeout(&*self.clock, EXPLANATION_LIMIT, uploading).await.ok().and_then(Result::ok)
            }
            _ => None,
        };

        let intent = match reason_at {
            Some(response_hash) => EscrowIntent::ClaimJob { job, response_hash, paid: Xbzz::ZERO },
            None => EscrowIntent::RefuseJob { job },
        };
        self.claims.submit(row, intent).await?;
        self.claimed.insert(job);
        Ok(())
    }

    /// Claims a job again whose claim the contract refused, once it is there.
    pub(super) async fn claim_again_if_refused(&self, row: &SellingJob) -> Result<(), EscrowError> {
        self.claims.again_if_refused(row).await
    }
}
