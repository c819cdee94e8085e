//! One job's work: from its row to its claim.
//!
//! Each step moves the row first and can be taken again, so that a job found open after a restart is simply worked on.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::Trace;
use t4t_api::registry_watcher::{GetHead, GetJob};
use t4t_clock::timeout;
use t4t_inference::Refusal;
use t4t_protocol::ACK_WINDOW_SECONDS;
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_runtime::KillPoint;
use t4t_store::StoreError;
use t4t_store::selling::SellingJob;
use t4t_types::{EncryptionKey, JobId, JobStatus, UnixSeconds};
use tracing::warn;

use super::answer::{self, RunFailed};
use super::request;
use super::runners::{Slot, prefix_of};
use super::service::Seller;

/// A backend is asked at most this often for one job: once more after a crash, and never after an answer is stored.
const MAX_RUNS: u32 = 2;

/// The longest pause before something is tried again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Seconds, of those until a job is given up, in which an answer that was ended in time is sealed and stored (a quarter of
/// them if that is shorter): the sweep looks every two seconds, and the chain's time may be a block ahead of ours.
const WRAP_UP_SECONDS: u64 = 8;

/// How long a request found after a restart is looked for.
const LATE_PATIENCE: Duration = Duration::from_secs(20);

/// Why work on a job stopped; the sweep takes it up again.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    #[error("the database can't be used")]
    Store(#[from] StoreError),
    #[error("the chain can't be read: {0}")]
    Watcher(#[from] t4t_api::registry_watcher::WatcherError),
    #[error("settlement: {0}")]
    Settlement(#[from] t4t_api::settlement::SettlementError),
    #[error("the answer can't be uploaded")]
    Upload,
    #[error("the chain's node does not show the job yet")]
    NotThereYet,
    #[error("another job with the same request is being taken in")]
    TakenInNow,
    #[error("the chain told that the job is this provider's, and its node says other terms")]
    TermsDiffer,
    #[error("the registry does not show this provider's prices yet")]
    NoPricesYet,
    #[error("no runner has registered since the start")]
    NoRunnerYet,
    #[error("the answer can't be sealed: {0}")]
    Seal(#[from] t4t_crypto::CryptoError),
}

impl Seller {
    /// Works on a job unless somebody does already.
    pub(super) fn spawn_work(self: &Arc<Self>, job: JobId) {
        let Some(guard) = self.in_progress.enter(job) else { return };
        let seller = Arc::clone(self);
        // The app knows the job by this name, too.
        tokio::spawn(Trace::begin(&job.to_string()).scope(async move {
            let _guard = guard;
            if let Err(error) = seller.work_on(job).await {
                warn!(%job, error = &error as &dyn std::error::Error, "work on a job stopped; it is taken up again");
            }
        }));
    }

    async fn work_on(self: &Arc<Self>, job: JobId) -> Result<(), WorkError> {
        loop {
            let Some(row) = self.ledger.store.selling_by_job(job).await? else { return Ok(()) };
            match row.state {
                SellingState::Accepted | SellingState::Working => self.serve(&row).await?,
                SellingState::Answered => self.upload_answer(&row).await?,
                SellingState::Uploaded => return self.settle(row).await,
                SellingState::Refusing => return self.refuse(&row).await,
                SellingState::Claimed | SellingState::Refused | SellingState::Lost => return Ok(()),
            }
        }
    }

    /// From an accepted row to a stored answer, or to a decided refusal.
    async fn serve(self: &Arc<Self>, row: &SellingJob) -> Result<(), WorkError> {
        if row.runs >= MAX_RUNS {
            return self.decide_refusal(row, "the process ended twice while a backend was asked").await;
        }
        if self.inherits_from_an_earlier_life(row).await? {
            return Ok(());
        }
        let patience = self.patience(row).await?;
        let mut request = match request::fetch(&*self.courier, &self.sealing_key, row, patience).await {
            Ok(request) => request,
            Err(request::RequestError::Fault { fault, client_key }) => {
                return self.decline(row, &client_key, fault.into_refusal()).await;
            }
            Err(error) => return self.refuse_unread(row, &error.to_string()).await,
        };
        KillPoint::SellingFetched.pass();
        if row.state == SellingState::Accepted && !self.runners.may_serve(&row.model, &[]) {
            // Before it is acknowledged: the client learns at once when to come back.
            return self.decline(row, &request.client_key, answer::away().0).await;
        }
        let Some(slot) = self.wait_for_slot(row, &request).await? else {
            return self.decide_refusal(row, "all slots are taken").await;
        };
        request.room = None;
        let chain_now = self.chain_now().await?;
        let is_acked = self.is_acked(row).await?;
        if !is_acked && chain_now.plus(self.config.ack_margin_seconds) >= row.ack_deadline {
            return self.decide_refusal(row, "too late to acknowledge it").await;
        }
        let left = self.give_up_at(row).since(chain_now);
        if left == 0 {
            return self.decide_refusal(row, "the deadline is too near").await;
        }

        if self.ledger.happened(row.job, SellingStep::Began).await?.is_none() {
            return Ok(());
        }
        KillPoint::SellingBegan.pass();
        if !is_acked {
            self.acknowledge(row);
        }
        self.run(row, &request, (slot, left)).await
    }

    /// Has a runner answer, and stores that sealed; a refusal where none does. `left` seconds are left.
    async fn run(
        self: &Arc<Self>,
        row: &SellingJob,
        request: &request::Request,
        (slot, left): (Slot, u64),
    ) -> Result<(), WorkError> {
        let client_key = &request.client_key;
        // An answer that has not ended by then is ended, sealed and stored before the job would be given up.
        let limit = Duration::from_secs(left.saturating_sub(WRAP_UP_SECONDS.min(left / 4)).max(1));
        let finished = match answer::run((&self.runners, slot), &self.clock, row, request, limit).await {
            Ok(finished) => finished,
            Err(RunFailed(refusal)) => return self.decline(row, client_key, refusal).await,
        };
        KillPoint::SellingRan.pass();
        let (usage, payment) = (finished.usage, answer::payment(row, &finished));
        let sealed = answer::seal_answer(row, self.wallet, client_key, finished.response, self.clock.now())?;
        self.store_answer(row, SellingStep::Answered { sealed: sealed.into(), usage, payment }).await?;
        KillPoint::SellingAnswered.pass();
        self.sold.add(usage);
        Ok(())
    }

    /// Stores a finished inference; tries again, for as long as it can be claimed, while the disk is full or locked.
    async fn store_answer(&self, row: &SellingJob, answered: SellingStep) -> Result<(), WorkError> {
        let mut is_told = false;
        loop {
            let stored = self.ledger.happened(row, answered.clone()).await;
            let Err(error) = stored else { return Ok(()) };
            if !error.is_passing() || self.is_past(row.delivery_deadline).await {
                return Err(error.into());
            }
            if !is_told {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "an answer waits to be stored");
                is_told = true;
            }
            self.clock.sleep(LONGEST_PAUSE).await;
        }
    }

    /// Refuses a job and tells its client why, by the key to which an answer would be sealed.
    async fn decline(
        &self,
        row: &SellingJob,
        client_key: &EncryptionKey,
        refusal: Refusal,
    ) -> Result<(), WorkError> {
        let said = answer::decline(&refusal);
        let sealed = answer::seal_answer(row, self.wallet, client_key, said, self.clock.now());
        // A key that nothing can be sealed to is no reason not to refuse.
        let Ok(sealed) = sealed else { return self.decide_refusal(row, &refusal.message).await };
        let (reason, explanation) = (refusal.message, Some(sealed.into()));
        self.ledger.happened(row, SellingStep::RefusalDecided { reason, explanation }).await?;
        KillPoint::SellingRefusing.pass();
        Ok(())
    }

    /// Decides to refuse a job.
    pub(super) async fn decide_refusal(&self, row: &SellingJob, reason: &str) -> Result<(), WorkError> {
        let decided = SellingStep::RefusalDecided { reason: reason.to_owned(), explanation: None };
        self.ledger.happened(row.job, decided).await?;
        KillPoint::SellingRefusing.pass();
        Ok(())
    }

    /// Decides to refuse a job whose request could not be had, and tells its client by the key of its notice, if one came:
    /// the request that names it is not there.
    async fn refuse_unread(&self, row: &SellingJob, reason: &str) -> Result<(), WorkError> {
        match self.ledger.store.notice_by_request(row.client, row.request_hash).await {
            Ok(Some(notice)) => self.decline(row, &notice.client_key, Refusal::failed(reason)).await,
            _ => self.decide_refusal(row, reason).await,
        }
    }

    /// How long a job may wait for its request and its slot from now on; a fresh one until it has to be begun.
    async fn patience(&self, row: &SellingJob) -> Result<Duration, WorkError> {
        if row.state != SellingState::Accepted {
            return Ok(LATE_PATIENCE);
        }
        let posted_at = row.ack_deadline.minus(ACK_WINDOW_SECONDS);
        let until = posted_at.plus(self.config.start_within_seconds);
        Ok(Duration::from_secs(until.since(self.chain_now().await?).max(1)))
    }

    /// Whether the chain shows a job's acknowledgement; one that was never begun has none.
    async fn is_acked(&self, row: &SellingJob) -> Result<bool, WorkError> {
        if row.state == SellingState::Accepted {
            return Ok(false);
        }
        Ok(self.watcher.ask(GetJob { job: row.job }).await?.status != JobStatus::Pending)
    }

    /// A runner's slot, or `None` if none becomes free in time.
    async fn wait_for_slot(
        &self,
        row: &SellingJob,
        request: &request::Request,
    ) -> Result<Option<Slot>, WorkError> {
        let patience = self.patience(row).await?;
        let prefix = prefix_of(&row.model, &request.asked);
        Ok(timeout(&*self.clock, patience, Box::pin(self.runners.wait(&row.model, prefix))).await.ok())
    }

    pub(super) async fn chain_now(&self) -> Result<UnixSeconds, WorkError> {
        Ok(self.watcher.ask(GetHead {}).await?.now())
    }

    /// When work on a job that is not done is given up, in chain time.
    pub(super) fn give_up_at(&self, row: &SellingJob) -> UnixSeconds {
        let whole = row.delivery_deadline.since(row.ack_deadline.minus(ACK_WINDOW_SECONDS));
        row.delivery_deadline.minus(self.config.give_up_seconds.min(whole / 3))
    }
}
