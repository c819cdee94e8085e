//! One job's work: from its row to its claim.
//!
//! Each step moves the row first and can be taken again, so that a job found open after a restart is simply worked on.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::{GetHead, GetJob};
use t4t_api::settlement::{SubmitTransaction, TransactionIntent, TransactionKey};
use t4t_clock::timeout;
use t4t_protocol::job::{SellingEvent, SellingState};
use t4t_protocol::{JobAck, JobDeliver, MessageKind, client_topic};
use t4t_runtime::KillPoint;
use t4t_store::StoreError;
use t4t_store::selling::{SellingChange, SellingJob};
use t4t_types::{JobId, UnixSeconds, Xbzz};
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

use super::answer::{self, RunFailed};
use super::request;
use super::service::Seller;
use super::verify::{Verdict, judge};

/// A backend is asked at most this often for one job: once more after a crash, and never after an answer is stored.
const MAX_RUNS: u32 = 2;

/// What an answer is expected to take, for the client's information: the reference states the same minute.
const ESTIMATED_SECONDS: u64 = 60;

/// Attempts to upload an answer before the sweep tries again later.
const UPLOADS: u32 = 5;

/// Pauses before an answer is announced again: nothing acknowledges the announcement, and messages get lost.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(15)];

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
    #[error("the answer can't be sealed: {0}")]
    Seal(#[from] t4t_crypto::CryptoError),
}

impl Seller {
    /// Looks at a job that the chain told of, and works on it if it is ours and open. Safe to call again and again.
    pub(super) async fn consider(self: &Arc<Self>, job: JobId) {
        if let Err(error) = self.take_in(job).await {
            warn!(%job, error = &error as &dyn std::error::Error, "a job could not be taken in; it is tried again");
        }
    }

    async fn take_in(self: &Arc<Self>, job: JobId) -> Result<(), WorkError> {
        if let Some(row) = self.ledger.store.selling_by_job(job).await? {
            if !row.state.is_final() {
                self.spawn_work(job);
            }
            return Ok(());
        }
        let terms = self.watcher.ask(GetJob { job }).await?;
        let chain_now = self.chain_now().await?;
        let mut verdict = judge(&terms, self.wallet, chain_now, &self.config, |model| self.offers(model));
        if let (Verdict::Serve(_), Some(reason)) = (&verdict, self.gate.reason()) {
            verdict = Verdict::Refuse(reason);
        }
        let earlier = self.ledger.store.selling_by_request(terms.client, terms.request_hash).await?;
        if matches!(verdict, Verdict::Serve(_)) && earlier.is_some() {
            verdict = Verdict::Refuse("the same request was posted before".into());
        }
        let (model, reason) = match verdict {
            Verdict::Ignore => return Ok(()),
            Verdict::Serve(model) => (model, None),
            // A name that is none is kept out of the database.
            Verdict::Refuse(reason) => {
                (terms.model.parse().unwrap_or_else(|_| self.nameless.clone()), Some(reason))
            }
        };
        let row = SellingJob {
            job,
            state: if reason.is_some() { SellingState::Refusing } else { SellingState::Accepted },
            client: terms.client,
            request_hash: terms.request_hash,
            prices: self.prices_of(&model),
            model,
            max_payment: terms.max_payment,
            ack_deadline: terms.ack_deadline,
            delivery_deadline: terms.delivery_deadline,
            runs: 0,
            sealed_answer: None,
            response_hash: None,
            usage: None,
            payment: None,
            paid: None,
            reason,
            created_at_ms: self.clock.unix_millis(),
        };
        self.ledger.found(&row).await?;
        KillPoint::SellingFound.pass();
        self.spawn_work(job);
        Ok(())
    }

    /// Works on a job unless somebody does already.
    pub(super) fn spawn_work(self: &Arc<Self>, job: JobId) {
        let Some(guard) = self.in_progress.enter(job) else { return };
        let seller = Arc::clone(self);
        tokio::spawn(async move {
            let _guard = guard;
            if let Err(error) = seller.work_on(job).await {
                warn!(%job, error = &error as &dyn std::error::Error, "work on a job stopped; it is taken up again");
            }
        });
    }

    async fn work_on(self: &Arc<Self>, job: JobId) -> Result<(), WorkError> {
        loop {
            let Some(row) = self.ledger.store.selling_by_job(job).await? else { return Ok(()) };
            match row.state {
                SellingState::Accepted | SellingState::Working => self.serve(&row).await?,
                SellingState::Answered => self.upload_answer(&row).await?,
                SellingState::Uploaded => {
                    self.claim(&row).await?;
                    self.announce_again_and_again(row);
                    return Ok(());
                }
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
        let is_fresh = row.state == SellingState::Accepted;
        let patience = if is_fresh { self.time_to_start(row).await? } else { LATE_PATIENCE };
        let Some(_slot) = self.wait_for_slot(patience).await else {
            return self.decide_refusal(row, "all slots are taken").await;
        };
        let request = match request::fetch(&self.courier, &self.sealing_key, row, patience).await {
            Ok(request) => request,
            Err(error) => return self.decide_refusal(row, &error.to_string()).await,
        };
        KillPoint::SellingFetched.pass();
        let chain_now = self.chain_now().await?;
        let left = row.delivery_deadline.since(chain_now.plus(self.config.give_up_seconds));
        if left == 0 {
            return self.decide_refusal(row, "the deadline is too near").await;
        }
        let begins = SellingChange { run_begins: true, ..Default::default() };
        if self.ledger.happened(row.job, SellingEvent::Began, begins).await?.is_none() {
            return Ok(());
        }
        KillPoint::SellingBegan.pass();
        if chain_now < row.ack_deadline {
            self.acknowledge(row);
        }
        let time_limit_ms = left.saturating_mul(1000);
        match answer::run(&self.runners, row, &request, time_limit_ms).await {
            Ok(finished) => {
                KillPoint::SellingRan.pass();
                let payment = answer::payment(row, &finished);
                let usage = finished.usage;
                let key = &request.payload.client_key;
                let sealed = answer::seal_answer(row, self.wallet, key, finished.response, self.clock.now())?;
                let change = SellingChange {
                    sealed_answer: Some(sealed),
                    usage: Some(usage),
                    payment: Some(payment),
                    ..Default::default()
                };
                self.ledger.happened(row.job, SellingEvent::Answered, change).await?;
                KillPoint::SellingAnswered.pass();
                self.sold.add(usage);
                Ok(())
            }
            Err(failed) => self.decline(row, &request, failed).await,
        }
    }

    /// Refuses a job and tells its client why.
    async fn decline(
        &self,
        row: &SellingJob,
        request: &request::Request,
        failed: RunFailed,
    ) -> Result<(), WorkError> {
        let (message, is_bad_request) = match failed {
            RunFailed::Request(message) => (message, true),
            RunFailed::Runners(message) => (message, false),
        };
        let said = answer::decline(&message, is_bad_request);
        let sealed =
            answer::seal_answer(row, self.wallet, &request.payload.client_key, said, self.clock.now())?;
        let change =
            SellingChange { sealed_answer: Some(sealed), reason: Some(message), ..Default::default() };
        self.ledger.happened(row.job, SellingEvent::RefusalDecided, change).await?;
        Ok(())
    }

    /// Decides to refuse a job.
    pub(super) async fn decide_refusal(&self, row: &SellingJob, reason: &str) -> Result<(), WorkError> {
        let change = SellingChange { reason: Some(reason.to_owned()), ..Default::default() };
        self.ledger.happened(row.job, SellingEvent::RefusalDecided, change).await?;
        KillPoint::SellingRefusing.pass();
        Ok(())
    }

    /// Chain seconds, as a duration, that a fresh job may wait for its slot and its request.
    async fn time_to_start(&self, row: &SellingJob) -> Result<Duration, WorkError> {
        let posted_at = row.ack_deadline.minus(t4t_protocol::ACK_WINDOW_SECONDS);
        let until = posted_at.plus(self.config.start_within_seconds);
        Ok(Duration::from_secs(until.since(self.chain_now().await?).max(1)))
    }

    async fn wait_for_slot(&self, limit: Duration) -> Option<OwnedSemaphorePermit> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        timeout(&*self.clock, limit, slot).await.ok()?.ok()
    }

    /// Acknowledges on the chain and by message; neither is waited for.
    fn acknowledge(self: &Arc<Self>, row: &SellingJob) {
        let (seller, row) = (Arc::clone(self), row.clone());
        tokio::spawn(async move {
            let job = row.job;
            let ack = SubmitTransaction {
                key: TransactionKey::ack(job),
                intent: TransactionIntent::AckJob { job },
            };
            let (on_chain, ()) =
                futures_util::future::join(seller.settlement.ask(ack), seller.tell_ack(&row)).await;
            KillPoint::SellingAcked.pass();
            if let Err(error) = on_chain {
                warn!(%job, %error, "a job could not be acknowledged; it can still be claimed while it is not cancelled");
            }
        });
    }

    async fn tell_ack(&self, row: &SellingJob) {
        let estimated_completion = self.clock.now().plus(ESTIMATED_SECONDS);
        let ack = JobAck { routing_id: row.request_hash.routing_id(), estimated_completion, ext: None };
        self.tell(row, MessageKind::JobAck, &ack).await;
    }

    async fn upload_answer(&self, row: &SellingJob) -> Result<(), WorkError> {
        let Some(sealed) = row.sealed_answer.clone() else { return Err(WorkError::Upload) };
        let reference = self.upload_retrying(row, sealed).await?;
        KillPoint::SellingUploaded.pass();
        let change = SellingChange { response_hash: Some(reference), ..Default::default() };
        self.ledger.happened(row.job, SellingEvent::Uploaded, change).await?;
        KillPoint::SellingReferenced.pass();
        Ok(())
    }

    async fn upload_retrying(
        &self,
        row: &SellingJob,
        sealed: Vec<u8>,
    ) -> Result<t4t_types::SwarmRef, WorkError> {
        for attempt in 1..=UPLOADS {
            match self.courier.upload(sealed.clone()).await {
                Ok(reference) => return Ok(reference),
                Err(error) => {
                    warn!(job = %row.job, attempt, %error, "an answer could not be uploaded");
                    self.clock.sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                }
            }
        }
        Err(WorkError::Upload)
    }

    async fn claim(&self, row: &SellingJob) -> Result<(), WorkError> {
        let (Some(response_hash), Some(paid)) = (row.response_hash, row.payment) else { return Ok(()) };
        let intent = TransactionIntent::ClaimJob { job: row.job, response_hash, paid };
        self.settlement.ask(SubmitTransaction { key: TransactionKey::claim(row.job), intent }).await?;
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
    async fn refuse(&self, row: &SellingJob) -> Result<(), WorkError> {
        let job = row.job;
        let reason_at = match row.sealed_answer.clone() {
            // Best effort: the refund must not wait for the explanation.
            Some(sealed) => self.courier.upload(sealed).await.ok(),
            None => None,
        };
        let intent = match reason_at {
            Some(response_hash) => TransactionIntent::ClaimJob { job, response_hash, paid: Xbzz::ZERO },
            None => TransactionIntent::RefuseJob { job },
        };
        self.settlement.ask(SubmitTransaction { key: TransactionKey::claim(job), intent }).await?;
        Ok(())
    }

    fn announce_again_and_again(self: &Arc<Self>, row: SellingJob) {
        let seller = Arc::clone(self);
        tokio::spawn(async move {
            seller.announce(&row).await;
            KillPoint::SellingAnnounced.pass();
            for pause in ANNOUNCE_AGAIN {
                seller.clock.sleep(pause).await;
                seller.announce(&row).await;
            }
        });
    }

    /// Tells the client where its answer lies, if it said where to tell it.
    pub(super) async fn announce(&self, row: &SellingJob) {
        let Some(response_hash) = row.response_hash else { return };
        let deliver = JobDeliver { routing_id: row.request_hash.routing_id(), response_hash, ext: None };
        self.tell(row, MessageKind::JobDeliver, &deliver).await;
    }

    async fn tell<B: serde::Serialize>(&self, row: &SellingJob, kind: MessageKind, body: &B) {
        let notice = match self.ledger.store.notice_by_request(row.client, row.request_hash).await {
            Ok(Some(notice)) => notice,
            Ok(None) => return,
            Err(error) => {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a message could not be addressed");
                return;
            }
        };
        let sent = match self.courier.sign(kind, row.client, body).await {
            Ok(message) => self.courier.send(&client_topic(row.client), notice.client_overlay, message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            debug!(job = %row.job, ?kind, %error, "a message could not be sent; the chain tells the client");
        }
    }

    pub(super) async fn chain_now(&self) -> Result<UnixSeconds, WorkError> {
        Ok(self.watcher.ask(GetHead {}).await?.timestamp)
    }
}
