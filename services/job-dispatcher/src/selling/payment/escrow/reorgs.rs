//! Reorganisations: jobs that are gone, and jobs under another id.
//!
//! A job's id is counted by the contract, so a block that comes back with another job before it gives the same
//! transaction another id, and the old id perhaps another request.

use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, JobStatus, JobTerms, keccak256};
use tracing::warn;

use super::chain::{Chain, status_by};
use super::error::EscrowError;
use super::rows::Rows;
use crate::selling::job_set::JobSet;

/// Finds a request's answer again, whatever its job is called now.
pub(super) struct Reorgs {
    chain: Chain,
    rows: Rows,
    /// Jobs whose claim this process handed to settlement.
    claimed: JobSet,
    /// Jobs whose event a reorganisation took back: their ids may be another provider's by now.
    taken_back: JobSet,
    started_ms: u64,
}

impl Reorgs {
    pub(super) fn new(chain: Chain, rows: Rows, claimed: JobSet) -> Self {
        let started_ms = chain.clock.unix_millis();
        Self { chain, rows, claimed, taken_back: JobSet::default(), started_ms }
    }

    /// Notes that a job was posted.
    pub(super) fn posted(&self, job: JobId) {
        self.taken_back.remove(&job);
    }

    /// Notes that a job's event is no more.
    pub(super) fn took_back(&self, job: JobId) {
        self.taken_back.insert_of_few(job);
    }

    /// Whether a job's event is no more.
    pub(super) fn is_taken_back(&self, job: &JobId) -> bool {
        self.taken_back.contains(job)
    }

    /// Gives a job that was found just before this process's last end the answer that it was about to be given.
    pub(super) async fn inherits_from_an_earlier_life(&self, row: &SellingJob) -> Result<bool, EscrowError> {
        if row.state != SellingState::Accepted || row.created_at_ms >= self.started_ms {
            return Ok(false);
        }
        let earlier = self.rows.store.selling_answered_before(row).await?;
        let Some(earlier) = earlier else { return Ok(false) };
        if !self.chain.is_gone(&earlier).await? {
            return Ok(false);
        }
        self.inherit(row, earlier).await?;
        Ok(true)
    }

    /// Gives a job the answer of the same request under an id that a reorganisation took away.
    pub(super) async fn inherit(&self, row: &SellingJob, earlier: SellingJob) -> Result<(), EscrowError> {
        self.lose(&earlier, row.job).await?;
        let sealed = self.rows.store.selling_sealed_answer(earlier.job).await?;
        let (Some(sealed), Some(payment), Some(usage)) = (sealed, earlier.payment, earlier.usage) else {
            return Ok(());
        };
        let payment = payment.min(row.max_payment);
        self.rows.happened(row.job, SellingStep::Inherited { sealed, usage, payment }).await?;
        Ok(())
    }

    /// Notes a claim of ours that came back with a reorganisation as the claim of another request's job: no row is of
    /// that job, and the request has one of another. `false` if the job is nobody's business here.
    pub(super) async fn take_claimed(&self, job: JobId, terms: &JobTerms) -> Result<bool, EscrowError> {
        if terms.provider != self.chain.wallet || terms.status != JobStatus::Claimed {
            return Ok(false);
        }
        let Some(earlier) = self.earlier_of(job, terms).await? else { return Ok(false) };
        let claim = self.chain.claim_of(job).await?;
        let Some((response_hash, paid)) = claim else { return Err(EscrowError::NotThereYet) };
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
        self.rows.found(&row).await?;
        self.lose(&earlier, job).await?;
        Ok(true)
    }

    /// The row of a claimed job's request, under an id that it no longer has. Its own job may have been claimed as well,
    /// or its id be taken already: the row is in whatever state.
    async fn earlier_of(&self, job: JobId, terms: &JobTerms) -> Result<Option<SellingJob>, EscrowError> {
        let (client, request_hash, deadline) = (terms.client, terms.request_hash, terms.delivery_deadline);
        let like = self.rows.store.selling_list_like(client, request_hash, deadline).await?;
        // Terms need not name a claimed job's request any more: the row is found by all that they do name.
        let is_same = |row: &SellingJob| {
            row.job != job
                && row.max_payment == terms.max_payment
                && !terms.is_of_another(row.request_hash, row.delivery_deadline)
        };
        for row in like.into_iter().filter(is_same) {
            if self.chain.is_gone(&row).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Closes the row of a job that is another by now, unless its id is another request's already.
    async fn lose(&self, earlier: &SellingJob, now: JobId) -> Result<(), EscrowError> {
        let stored = self.rows.store.selling_by_job(earlier.job).await?;
        if stored.is_none_or(|stored| stored.request_hash != earlier.request_hash) {
            return Ok(());
        }
        if earlier.state.is_final() {
            self.rows.happened(earlier, SellingStep::Reorganised).await?;
        }
        let reason = format!("a reorganisation made it job {now}");
        self.rows.happened(earlier, SellingStep::Lost { reason }).await?;
        Ok(())
    }

    /// Puts a row aside if its id is another request's by now, with its answer for the request's next id; `false` if
    /// the id is still its own.
    pub(super) async fn gives_way(&self, row: &SellingJob) -> Result<bool, EscrowError> {
        let terms = self.chain.job(row.job).await?;
        if terms.status == JobStatus::None || status_by(row, &terms) != JobStatus::None {
            return Ok(false);
        }
        warn!(job = %row.job, request = %row.request_hash, "a reorganisation gave a job's id to another request");
        let aside =
            JobId::new(keccak256([&row.job.as_bytes()[..], &row.request_hash.as_bytes()[..]].concat()));
        let now_ms = self.chain.clock.unix_millis();
        self.rows.store.selling_set_aside(row.job, row.request_hash, aside, now_ms).await?;
        self.claimed.remove(&row.job);
        Ok(true)
    }
}
