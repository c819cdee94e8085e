//! Reorganisations: jobs that are gone, jobs under another id, claims that failed meanwhile.
//!
//! A job's id is counted by the contract, so a block that comes back with another job before it gives the same
//! transaction another id, and the old id perhaps another request.

use t4t_api::registry_watcher::{GetHead, GetJob, JobRole};
use t4t_api::settlement::{
    AwaitTransaction, SettlementError, SubmitTransaction, TransactionIntent, TransactionKey,
    TransactionOutcome,
};
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, JobStatus, JobTerms, keccak256};
use tracing::warn;

use super::service::Seller;
use super::work::WorkError;
use crate::claims::kept_claim;

/// How often a job is claimed at most; more than once only after reorganisations.
const MOST_CLAIMS: u32 = 8;

impl Seller {
    /// Whether a job that was posted before no longer exists: a reorganisation gave its request another id.
    pub(super) async fn is_gone(&self, earlier: &SellingJob) -> Result<bool, WorkError> {
        let terms = self.watcher.ask(GetJob { job: earlier.job }).await?;
        Ok(status_of(earlier, &terms) == JobStatus::None)
    }

    /// Gives a job that was found just before this process's last end the answer that it was about to be given.
    pub(super) async fn inherits_from_an_earlier_life(&self, row: &SellingJob) -> Result<bool, WorkError> {
        if row.state != SellingState::Accepted || row.created_at_ms >= self.started_ms {
            return Ok(false);
        }
        let earlier = self.ledger.store.selling_answered_before(row).await?;
        let Some(earlier) = earlier else { return Ok(false) };
        if !self.is_gone(&earlier).await? {
            return Ok(false);
        }
        self.inherit(row, earlier).await?;
        Ok(true)
    }

    /// Gives a job the answer of the same request under an id that a reorganisation took away.
    pub(super) async fn inherit(&self, row: &SellingJob, earlier: SellingJob) -> Result<(), WorkError> {
        self.lose(&earlier, row.job).await?;
        let sealed = self.ledger.store.selling_sealed_answer(earlier.job).await?;
        let (Some(sealed), Some(payment), Some(usage)) = (sealed, earlier.payment, earlier.usage) else {
            return Ok(());
        };
        let payment = payment.min(row.max_payment);
        self.ledger.happened(row.job, SellingStep::Inherited { sealed, usage, payment }).await?;
        Ok(())
    }

    /// Notes a claim of ours that came back with a reorganisation as the claim of another request's job: no row is of
    /// that job, and the request has one of another. `false` if the job is nobody's business here.
    pub(super) async fn take_claimed(&self, job: JobId, terms: &JobTerms) -> Result<bool, WorkError> {
        if terms.provider != self.wallet || terms.status != JobStatus::Claimed {
            return Ok(false);
        }
        let Some(earlier) = self.earlier_of(job, terms).await? else { return Ok(false) };
        let head = self.watcher.ask(GetHead {}).await?;
        let claim =
            kept_claim(&*self.watcher, &*self.clock, (self.wallet, JobRole::Provider), job, head).await;
        let Some((response_hash, paid)) = claim else { return Err(WorkError::NotThereYet) };
        let row = SellingJob {
            job,
            state: if paid.is_zero() { SellingState::Refused } else { SellingState::Claimed },
            response_hash: Some(response_hash),
            payment: Some(paid),
            paid: Some(paid),
            max_payment: terms.max_payment,
            ack_deadline: terms.ack_deadline,
            delivery_deadline: terms.delivery_deadline,
            ..earlier.clone()
        };
        self.ledger.found(&row).await?;
        self.lose(&earlier, job).await?;
        Ok(true)
    }

    /// The row of a claimed job's request, under an id that it no longer has. Its own job may have been claimed as well,
    /// or its id be taken already: the row is in whatever state.
    async fn earlier_of(&self, job: JobId, terms: &JobTerms) -> Result<Option<SellingJob>, WorkError> {
        let (client, request_hash, deadline) = (terms.client, terms.request_hash, terms.delivery_deadline);
        let like = self.ledger.store.selling_list_like(client, request_hash, deadline).await?;
        // Terms need not name a claimed job's request any more: the row is found by all that they do name.
        let is_same = |row: &SellingJob| {
            row.job != job
                && row.max_payment == terms.max_payment
                && !terms.is_of_another(row.request_hash, row.delivery_deadline)
        };
        for row in like.into_iter().filter(is_same) {
            if self.is_gone(&row).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Closes the row of a job that is another by now, unless its id is another request's already.
    async fn lose(&self, earlier: &SellingJob, now: JobId) -> Result<(), WorkError> {
        let stored = self.ledger.store.selling_by_job(earlier.job).await?;
        if stored.is_none_or(|stored| stored.request_hash != earlier.request_hash) {
            return Ok(());
        }
        if earlier.state.is_final() {
            self.ledger.happened(earlier, SellingStep::Reorganised).await?;
        }
        let reason = format!("a reorganisation made it job {now}");
        self.ledger.happened(earlier, SellingStep::Lost { reason }).await?;
        Ok(())
    }

    /// Puts a row aside if its id is another request's by now, with its answer for the request's next id; `false` if
    /// the id is still its own.
    pub(super) async fn gives_way(&self, row: &SellingJob) -> Result<bool, WorkError> {
        let terms = self.watcher.ask(GetJob { job: row.job }).await?;
        if terms.status == JobStatus::None || status_of(row, &terms) != JobStatus::None {
            return Ok(false);
        }
        warn!(job = %row.job, request = %row.request_hash, "a reorganisation gave a job's id to another request");
        let aside =
            JobId::new(keccak256([&row.job.as_bytes()[..], &row.request_hash.as_bytes()[..]].concat()));
        let now_ms = self.clock.unix_millis();
        self.ledger.store.selling_set_aside(row.job, row.request_hash, aside, now_ms).await?;
        self.settling.remove(&row.job);
        Ok(true)
    }

    /// Submits what settles a job; once more if the contract refused it while a reorganisation had taken the job away.
    pub(super) async fn submit_claim(
        &self,
        row: &SellingJob,
        intent: TransactionIntent,
    ) -> Result<(), WorkError> {
        for time in 1..=MOST_CLAIMS {
            let key = TransactionKey::claim(row.job).of_time(time);
            let status = self.settlement.ask(SubmitTransaction { key, intent: intent.clone() }).await?;
            let is_refused = matches!(status.outcome, TransactionOutcome::Reverted { .. });
            if !is_refused || !self.is_claimable(row).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn is_claimable(&self, row: &SellingJob) -> Result<bool, WorkError> {
        let terms = self.watcher.ask(GetJob { job: row.job }).await?;
        Ok(status_of(row, &terms).is_open() && !self.is_past(row.delivery_deadline).await)
    }

    /// Claims a job again whose claim the contract refused, once it is there.
    pub(super) async fn claim_again_if_refused(&self, row: &SellingJob) -> Result<(), WorkError> {
        if !self.is_claim_refused(row.job).await? || !self.is_claimable(row).await? {
            return Ok(());
        }
        warn!(job = %row.job, "a claim was refused and the job is open: claiming it again");
        let job = row.job;
        let intent = match (row.state, row.response_hash, row.payment) {
            (SellingState::Uploaded, Some(response_hash), Some(paid)) => {
                TransactionIntent::ClaimJob { job, response_hash, paid: paid.min(row.max_payment) }
            }
            _ => TransactionIntent::RefuseJob { job },
        };
        self.submit_claim(row, intent).await
    }

    /// Whether the last transaction that was to settle a job failed.
    async fn is_claim_refused(&self, job: JobId) -> Result<bool, WorkError> {
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

/// How far a row's job is; a job of another request under its id is not its job.
pub(super) fn status_of(row: &SellingJob, terms: &JobTerms) -> JobStatus {
    let is_its_own = !terms.is_of_another(row.request_hash, row.delivery_deadline);
    if is_its_own { terms.status } else { JobStatus::None }
}
