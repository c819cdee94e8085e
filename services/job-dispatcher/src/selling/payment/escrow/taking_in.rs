//! Taking in what the chain tells of: from a posted job to a row that is served or refused.

use std::sync::Arc;
use std::time::Duration;

use t4t_runtime::KillPoint;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, JobStatus, JobTerms};
use tracing::warn;

use super::chain::Chain;
use super::error::EscrowError;
use super::names::name_of;
use super::reorgs::Reorgs;
use super::rows::Rows;
use crate::selling::job_set::InFlight;
use crate::selling::payment::PayableJobs;
use crate::selling::tasks::spawn_for;
use crate::selling::verification::{Told, Verdict, Verifier};

/// For how long taking in a job is tried: beyond it the acknowledgement is due and the job can't be served.
const TAKE_IN_MS: u64 = 60_000;

/// The first pause before a job is looked at again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause before a job is looked at again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Takes jobs in.
#[derive(Clone)]
pub(super) struct TakingIn {
    pub(super) verifier: Arc<Verifier>,
    pub(super) chain: Chain,
    pub(super) rows: Rows,
    pub(super) reorgs: Arc<Reorgs>,
    /// Jobs of which it is not known yet whether an answer is there already.
    pub(super) held: InFlight<JobId>,
    pub(super) payable: PayableJobs,
}

impl TakingIn {
    /// Looks at a job that the chain told of, and tells it as payable if it is ours and open; tries again while that
    /// fails. Safe to call again and again. `block` is the one in which the job was posted. Jobs are taken in side by
    /// side: one slow read must not hold up the others' acknowledgements.
    pub(super) fn spawn(&self, job: JobId, block: u64) {
        let taking_in = self.clone();
        spawn_for(job, async move { taking_in.consider(job, block).await });
    }

    async fn consider(&self, job: JobId, block: u64) {
        let clock = &self.chain.clock;
        let told = Told { block, since_ms: clock.unix_millis() };
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.take_in(job, told).await {
            let tried_ms = clock.unix_millis().saturating_sub(told.since_ms);
            warn!(%job, tried_ms, error = &error as &dyn std::error::Error, "a job could not be taken in yet");
            if tried_ms > TAKE_IN_MS {
                return;
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn take_in(&self, job: JobId, told: Told) -> Result<(), EscrowError> {
        if let Some(row) = self.rows.store.selling_by_job(job).await?
            && !self.reorgs.gives_way(&row).await?
        {
            if !row.state.is_final() {
                self.payable.tell(name_of(job)).await;
            }
            return Ok(());
        }
        let mut terms = self.chain.job(job).await?;
        if terms.status == JobStatus::None {
            // The event came from one node, the answer from another that is a block behind.
            return Err(EscrowError::NotThereYet);
        }
        if self.reorgs.take_claimed(job, &terms).await? {
            return Ok(());
        }
        let verdict = self.verdict(job, &mut terms, told).await?;
        // Of two jobs with one request, the second is judged once the first is stored.
        let _entered = self.verifier.enter(&terms)?;
        let (verdict, inherited) = self.unless_posted_before(&terms, verdict).await?;
        let Some(row) = self.verifier.row(job, &terms, verdict) else { return Ok(()) };
        self.store(&row, inherited).await?;
        self.payable.tell(name_of(job)).await;
        Ok(())
    }

    async fn verdict(&self, job: JobId, terms: &mut JobTerms, told: Told) -> Result<Verdict, EscrowError> {
        // Of an event that is no more, what the terms say of the id needs not fit it.
        if !self.reorgs.is_taken_back(&job)
            && let Some(refusal) = self.verifier.doubt(terms, told).await?
        {
            return Ok(refusal);
        }
        Ok(self.verifier.judge(terms, told).await?)
    }

    /// Refuses a request that was posted before; one whose earlier job is gone inherits what was done for it.
    async fn unless_posted_before(
        &self,
        terms: &JobTerms,
        verdict: Verdict,
    ) -> Result<(Verdict, Option<SellingJob>), EscrowError> {
        if !matches!(verdict, Verdict::Serve(_)) {
            return Ok((verdict, None));
        }
        match self.rows.store.selling_by_request(terms.client, terms.request_hash).await? {
            Some(earlier) if self.chain.is_gone(&earlier).await? => Ok((verdict, Some(earlier))),
            Some(_) => Ok((Verdict::Refuse("the same request was posted before".into()), None)),
            None => Ok((verdict, None)),
        }
    }

    async fn store(&self, row: &SellingJob, inherited: Option<SellingJob>) -> Result<(), EscrowError> {
        // No work begins before it is known whether an answer is there already.
        let _held = self.held.enter(row.job);
        self.rows.found(row).await?;
        KillPoint::SellingFound.pass();
        if let Some(earlier) = inherited {
            self.reorgs.inherit(row, earlier).await?;
        }
        Ok(())
    }
}
