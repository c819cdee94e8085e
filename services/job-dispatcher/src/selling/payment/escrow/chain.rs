//! The escrow's jobs as the chain has them.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::{GetHead, GetJob, Head, JobRole, LookClosely, WatchJobs, WatcherError};
use t4t_clock::SharedClock;
use t4t_store::selling::SellingJob;
use t4t_types::{Address, JobId, JobStatus, JobTerms, SwarmRef, UnixSeconds, Xbzz};

use crate::claims::kept_claim;

/// Reads the chain for one provider.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) wallet: Address,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
    pub(super) clock: SharedClock,
}

impl Chain {
    pub(super) async fn head(&self) -> Result<Head, WatcherError> {
        self.watcher.ask(GetHead {}).await
    }

    /// The chain's time.
    pub(super) async fn now(&self) -> Result<UnixSeconds, WatcherError> {
        Ok(self.head().await?.now())
    }

    pub(super) async fn job(&self, job: JobId) -> Result<JobTerms, WatcherError> {
        self.watcher.ask(GetJob { job }).await
    }

    /// Whether a deadline is known to be past.
    pub(super) async fn is_past(&self, deadline: UnixSeconds) -> bool {
        self.now().await.is_ok_and(|chain_now| chain_now > deadline)
    }

    /// How far a row's job is.
    pub(super) async fn status_of(&self, row: &SellingJob) -> Result<JobStatus, WatcherError> {
        Ok(status_by(row, &self.job(row.job).await?))
    }

    /// Whether a job that was posted before no longer exists: a reorganisation gave its request another id.
    pub(super) async fn is_gone(&self, earlier: &SellingJob) -> Result<bool, WatcherError> {
        Ok(self.status_of(earlier).await? == JobStatus::None)
    }

    /// Whether a claim of a row's job can still be mined.
    pub(super) async fn is_claimable(&self, row: &SellingJob) -> Result<bool, WatcherError> {
        Ok(self.status_of(row).await?.is_open() && !self.is_past(row.delivery_deadline).await)
    }

    /// What a job's claim named and took, if its event was kept.
    pub(super) async fn claim_of(&self, job: JobId) -> Result<Option<(SwarmRef, Xbzz)>, WatcherError> {
        let (head, whose) = (self.head().await?, (self.wallet, JobRole::Provider));
        Ok(kept_claim(&*self.watcher, &*self.clock, whose, job, head).await)
    }

    /// The events of this provider's jobs since a block.
    pub(super) fn events_since(&self, block: u64) -> WatchJobs {
        WatchJobs { wallet: self.wallet, role: JobRole::Provider, since_block: Some(block) }
    }

    /// Has the chain looked at closely for a while. Only a hint: without it a job is found a second later.
    pub(super) async fn look_closely(&self, for_ms: u64) {
        let _hint = self.watcher.ask(LookClosely { for_ms }).await;
    }
}

/// How far a row's job is; a job of another request under its id is not its job.
pub(super) fn status_by(row: &SellingJob, terms: &JobTerms) -> JobStatus {
    let is_its_own = !terms.is_of_another(row.request_hash, row.delivery_deadline);
    if is_its_own { terms.status } else { JobStatus::None }
}
