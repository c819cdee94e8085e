//! One job's work: from its row to its claim.
//!
//! Each step moves the row first and can be taken again, so that a job found open after a restart is simply worked on.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::registry_watcher::{GetHead, GetJob};
use t4t_api::settlement::{SubmitTransaction, TransactionIntent, TransactionKey};
use t4t_clock::timeout;
use t4t_protocol::job::{SellingEvent, SellingState};
use t4t_protocol::{
    ACK_WINDOW_SECONDS, Asked, JobAck, JobDeliver, MIN_PROMPT_TOKENS, MessageKind, Refusal, client_topic,
};
use t4t_runtime::KillPoint;
use t4t_store::StoreError;
use t4t_store::selling::{SellingChange, SellingJob};
use t4t_types::{JobId, JobStatus, JobTerms, ModelId, TokenUsage, UnixSeconds, Xbzz};
use tracing::{debug, warn};

use super::answer::{self, RunFailed};
use super::request;
use super::runners::{Slot, prefix_of};
use super::service::Seller;
use super::verify::{Verdict, contradicts, judge};

/// A backend is asked at most this often for one job: once more after a crash, and never after an answer is stored.
const MAX_RUNS: u32 = 2;

/// What an answer is expected to take, for the client's information: the reference states the same minute.
const ESTIMATED_SECONDS: u64 = 60;

/// Attempts to upload an answer before the sweep tries again later.
const UPLOADS: u32 = 5;

/// Pauses before an answer is announced again: nothing acknowledges the announcement, and messages get lost.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(15)];

/// For how long taking in a job is tried: beyond it the acknowledgement is due and the job can't be served.
const TAKE_IN_MS: u64 = 60_000;

/// For how long a job is read again whose terms can't be true: half of the acknowledgement's window, so that its refusal
/// is in a block before the window ends, also where its event came late.
const READ_AGAIN_MS: u64 = ACK_WINDOW_SECONDS * 1000 / 2;

/// For how long a job waits at a start until the registry was read.
const PRICES_WITHIN_MS: u64 = 8_000;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest prompt and the longest answer that models have, in tokens, with room to spare.
const LONGEST_TOKENS: u64 = 1 << 20;

/// The most that is taken for a model whose prices say little or nothing.
const FREE_MODELS_MOST: Xbzz = Xbzz::from_plur(1_000_000_000_000_000);

/// Seconds, of those until a job is given up, in which an answer that was ended in time is sealed and stored (a quarter of
/// them if that is shorter): the sweep looks every two seconds, and the chain's time may be a block ahead of ours.
const WRAP_UP_SECONDS: u64 = 8;

/// How long the reason of a refusal may take to upload.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(2);

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
    /// Looks at a job that the chain told of, and works on it if it is ours and open; tries again while that fails.
    /// Safe to call again and again. `block` is the one in which the job was posted.
    pub(super) async fn consider(self: Arc<Self>, job: JobId, block: u64) {
        let began_ms = self.clock.unix_millis();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.take_in(job, (block, began_ms)).await {
            let tried_ms = self.clock.unix_millis().saturating_sub(began_ms);
            warn!(%job, tried_ms, error = &error as &dyn std::error::Error, "a job could not be taken in yet");
            if tried_ms > TAKE_IN_MS {
                return;
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `told` is the block in which the job was posted, and since when it is tried, in milliseconds since 1970.
    async fn take_in(self: &Arc<Self>, job: JobId, told: (u64, u64)) -> Result<(), WorkError> {
        if let Some(row) = self.ledger.store.selling_by_job(job).await?
            && !self.gives_way(&row).await?
        {
            if !row.state.is_final() {
                self.spawn_work(job);
            }
            return Ok(());
        }
        let mut terms = self.watcher.ask(GetJob { job }).await?;
        if terms.status == JobStatus::None {
            // The event came from one node, the answer from another that is a block behind.
            return Err(WorkError::NotThereYet);
        }
        if self.take_claimed(job, &terms).await? {
            return Ok(());
        }
        let verdict = match self.doubt(job, &mut terms, told).await? {
            Some(refusal) => refusal,
            None => self.verdict(&terms).await?,
        };
        if matches!(verdict, Verdict::Serve(_)) {
            self.learn_shown_prices(told).await?;
        }
        // Of two jobs with one request, the second is judged once the first is stored.
        let Some(_entered) = self.taking_in.enter((terms.client, terms.request_hash)) else {
            return Err(WorkError::TakenInNow);
        };
        let earlier = match &verdict {
            Verdict::Serve(_) => {
                self.ledger.store.selling_by_request(terms.client, terms.request_hash).await?
            }
            _ => None,
        };
        let (verdict, inherited) = match earlier {
            Some(earlier) if self.is_gone(&earlier).await? => (verdict, Some(earlier)),
            Some(_) => (Verdict::Refuse("the same request was posted before".into()), None),
            None => (verdict, None),
        };
        let Some(row) = self.new_row(job, &terms, verdict) else { return Ok(()) };
        {
            // No work begins before it is known whether an answer is there already.
            let _inheriting = self.in_progress.enter(job);
            self.ledger.found(&row).await?;
            KillPoint::SellingFound.pass();
            if let Some(earlier) = inherited {
                self.inherit(&row, earlier).await?;
            }
        }
        self.spawn_work(job);
        Ok(())
    }

    /// Reads a job again whose terms can't be those of the job that the chain told of. In time it is refused: ignored, it
    /// would cost stake if the event was true, while a refusal of what is not ours costs nothing.
    async fn doubt(
        &self,
        job: JobId,
        terms: &mut JobTerms,
        (block, began_ms): (u64, u64),
    ) -> Result<Option<Verdict>, WorkError> {
        if self.taken_back.contains(&job) {
            // The event is no more; what the terms say of the id needs not fit it.
            return Ok(None);
        }
        let head = self.watcher.ask(GetHead {}).await?;
        let blocks_ago = head.block.saturating_sub(block);
        if !contradicts(terms, self.wallet, head.now(), blocks_ago) {
            return Ok(None);
        }
        if self.clock.unix_millis().saturating_sub(began_ms) < READ_AGAIN_MS {
            return Err(WorkError::TermsDiffer);
        }
        // For as long, the refusal may need to get into a block.
        let refused_by = head.now().plus(2 * ACK_WINDOW_SECONDS);
        terms.delivery_deadline = terms.delivery_deadline.max(refused_by);
        Ok(Some(Verdict::Refuse("the chain's node says other terms than the chain's event".into())))
    }

    /// Has the registry read, if it was not since the start: only it tells which prices a job was planned by. No job
    /// waits for that until it is late.
    async fn learn_shown_prices(&self, (_, began_ms): (u64, u64)) -> Result<(), WorkError> {
        if self.shown_prices.are_known() || self.own_listing().await.is_ok() {
            return Ok(());
        }
        if self.clock.unix_millis().saturating_sub(began_ms) < PRICES_WITHIN_MS {
            return Err(WorkError::NoPricesYet);
        }
        warn!("the registry can't be read: a job is billed by the prices of now, whatever it was planned by");
        Ok(())
    }

    /// The row of a job that is served or refused; `None` if it is nobody's business here.
    fn new_row(&self, job: JobId, terms: &JobTerms, verdict: Verdict) -> Option<SellingJob> {
        let (model, reason) = match verdict {
            Verdict::Ignore => return None,
            Verdict::Serve(model) => (model, None),
            // A name that is none is kept out of the database.
            Verdict::Refuse(reason) => {
                (terms.model.parse().unwrap_or_else(|_| self.nameless.clone()), Some(reason))
            }
        };
        Some(SellingJob {
            job,
            state: if reason.is_some() { SellingState::Refusing } else { SellingState::Accepted },
            client: terms.client,
            request_hash: terms.request_hash,
            prices: self.billed_prices_of(&model),
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
        })
    }

    /// What to do with a job, by its terms and by whether this provider can serve now.
    async fn verdict(&self, terms: &JobTerms) -> Result<Verdict, WorkError> {
        let chain_now = self.chain_now().await?;
        let offers = |model: &ModelId| self.offers(model);
        let verdict = judge(terms, self.wallet, chain_now, &self.config, self.payments(terms), offers);
        if matches!(verdict, Verdict::Refuse(_)) && self.is_starting() && self.models().is_empty() {
            return Err(WorkError::NoRunnerYet);
        }
        match (verdict, self.gate.trouble()) {
            (Verdict::Serve(_), Some(trouble)) => Ok(Verdict::Refuse(trouble.reason)),
            (verdict, _) => Ok(verdict),
        }
    }

    /// The smallest payment served: what a short answer to a short prompt costs here, if that is below the setting. And
    /// the largest: what the longest prompt and answer would cost. A slash is two or three times the payment, so who
    /// pays a thousand times too much into escrow is not after an answer.
    fn payments(&self, terms: &JobTerms) -> (Xbzz, Xbzz) {
        let (short, long) = (
            TokenUsage { prompt: MIN_PROMPT_TOKENS, completion: 1 },
            TokenUsage { prompt: LONGEST_TOKENS, completion: LONGEST_TOKENS },
        );
        let prices = terms.model.parse().ok().map(|model| self.prices_of(&model));
        let cost =
            |usage| prices.and_then(|prices| prices.cost_rounded_up(usage)).filter(|cost| !cost.is_zero());
        // A model that is free still has to be paid for the claim's gas.
        let least = cost(short).unwrap_or(self.config.min_payment).min(self.config.min_payment);
        let most = cost(long).unwrap_or(FREE_MODELS_MOST).max(FREE_MODELS_MOST);
        (least, most)
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
                SellingState::Uploaded => return self.settle(row).await,
                SellingState::Refusing => return self.refuse(&row).await,
                SellingState::Claimed | SellingState::Refused | SellingState::Lost => return Ok(()),
            }
        }
    }

    /// Claims a job and tells its client, side by side: neither waits for the other.
    async fn settle(self: &Arc<Self>, row: SellingJob) -> Result<(), WorkError> {
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

    /// From an accepted row to a stored answer, or to a decided refusal.
    async fn serve(self: &Arc<Self>, row: &SellingJob) -> Result<(), WorkError> {
        if row.runs >= MAX_RUNS {
            return self.decide_refusal(row, "the process ended twice while a backend was asked").await;
        }
        if self.inherits_from_an_earlier_life(row).await? {
            return Ok(());
        }
        let patience = self.patience(row).await?;
        let mut request = match request::fetch(&self.courier, &self.sealing_key, row, patience).await {
            Ok(request) => request,
            Err(error) => return self.refuse_unread(row, &error.to_string()).await,
        };
        KillPoint::SellingFetched.pass();
        if row.state == SellingState::Accepted && !self.runners.may_serve(&row.model, &[]) {
            // Before it is acknowledged: the client learns at once when to come back.
            return self.decline(row, &request, answer::away()).await;
        }
        // What could be read as another request than was paid is refused before it is acknowledged, too.
        if let Err(fault) = Asked::read(&request.payload.openai_request) {
            return self.decline(row, &request, RunFailed(fault.into_refusal())).await;
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

        let begins = SellingChange { run_begins: true, ..Default::default() };
        if self.ledger.happened(row.job, SellingEvent::Began, begins).await?.is_none() {
            return Ok(());
        }
        KillPoint::SellingBegan.pass();
        if !is_acked {
            self.acknowledge(row);
        }
        // An answer that has not ended by then is ended, sealed and stored before the job would be given up.
        let limit = Duration::from_secs(left.saturating_sub(WRAP_UP_SECONDS.min(left / 4)).max(1));
        match answer::run((&self.runners, slot), &self.clock, row, &request, limit).await {
            Ok(finished) => {
                KillPoint::SellingRan.pass();
                let payment = answer::payment(row, &finished);
                let usage = finished.usage;
                let key = &request.payload.client_key;
                let sealed = answer::seal_answer(row, self.wallet, key, finished.response, self.clock.now())?;
                let change = SellingChange {
                    of_request: Some(row.request_hash),
                    sealed_answer: Some(sealed),
                    usage: Some(usage),
                    payment: Some(payment),
                    ..Default::default()
                };
                self.store_answer(row, change).await?;
                KillPoint::SellingAnswered.pass();
                self.sold.add(usage);
                Ok(())
            }
            Err(failed) => self.decline(row, &request, failed).await,
        }
    }

    /// Stores a finished inference; tries again, for as long as it can be claimed, while the disk is full or locked.
    async fn store_answer(&self, row: &SellingJob, change: SellingChange) -> Result<(), WorkError> {
        let mut is_told = false;
        loop {
            let stored = self.ledger.happened(row.job, SellingEvent::Answered, change.clone()).await;
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

    /// Refuses a job and tells its client why.
    async fn decline(
        &self,
        row: &SellingJob,
        request: &request::Request,
        RunFailed(refusal): RunFailed,
    ) -> Result<(), WorkError> {
        let said = answer::decline(&refusal);
        let sealed =
            answer::seal_answer(row, self.wallet, &request.payload.client_key, said, self.clock.now())?;
        let change = SellingChange {
            of_request: Some(row.request_hash),
            sealed_answer: Some(sealed),
            reason: Some(refusal.message),
            ..Default::default()
        };
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

    /// Decides to refuse a job whose request could not be had, and seals the reason to the key of the client's notice, if
    /// one came: the request that names it is not there.
    async fn refuse_unread(&self, row: &SellingJob, reason: &str) -> Result<(), WorkError> {
        let Ok(Some(notice)) = self.ledger.store.notice_by_request(row.client, row.request_hash).await else {
            return self.decide_refusal(row, reason).await;
        };
        let said = answer::decline(&Refusal::failed(reason));
        let sealed = answer::seal_answer(row, self.wallet, &notice.client_key, said, self.clock.now());
        let Ok(sealed) = sealed else { return self.decide_refusal(row, reason).await };
        let change = SellingChange {
            of_request: Some(row.request_hash),
            sealed_answer: Some(sealed),
            reason: Some(reason.to_owned()),
            ..Default::default()
        };
        self.ledger.happened(row.job, SellingEvent::RefusalDecided, change).await?;
        KillPoint::SellingRefusing.pass();
        Ok(())
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
        let prefix = prefix_of(&row.model, request.payload.openai_request.get());
        Ok(timeout(&*self.clock, patience, Box::pin(self.runners.wait(&row.model, prefix))).await.ok())
    }

    /// Acknowledges on the chain and by message; neither is waited for.
    fn acknowledge(self: &Arc<Self>, row: &SellingJob) {
        let (seller, row) = (Arc::clone(self), row.clone());
        tokio::spawn(async move {
            futures_util::future::join(seller.ack_on_chain(&row), seller.tell_ack(&row)).await;
        });
    }

    /// Sends the acknowledgement, again and again while it can still be in time.
    async fn ack_on_chain(&self, row: &SellingJob) {
        let job = row.job;
        loop {
            let ack = SubmitTransaction {
                key: TransactionKey::ack(job),
                intent: TransactionIntent::AckJob { job },
            };
            let Err(error) = self.settlement.ask(ack).await else { break };
            warn!(%job, %error, "a job could not be acknowledged yet");
            if !self.chain_now().await.is_ok_and(|chain_now| chain_now < row.ack_deadline) {
                return;
            }
            self.clock.sleep(LONGEST_PAUSE).await;
        }
        KillPoint::SellingAcked.pass();
    }

    /// Tells the client that its job was begun, if it said where to tell it.
    pub(super) async fn tell_ack(&self, row: &SellingJob) {
        let estimated_completion = self.clock.now().plus(ESTIMATED_SECONDS);
        let ack = JobAck { routing_id: row.request_hash.routing_id(), estimated_completion, ext: None };
        if self.tell(row, MessageKind::JobAck, &ack).await {
            self.told_ack.insert_of_few(row.job);
        }
    }

    async fn upload_answer(&self, row: &SellingJob) -> Result<(), WorkError> {
        let Some(sealed) = row.sealed_answer.clone() else { return Err(WorkError::Upload) };
        let reference = self.upload_retrying(row, sealed).await?;
        KillPoint::SellingUploaded.pass();
        let change = SellingChange {
            of_request: Some(row.request_hash),
            response_hash: Some(reference),
            ..Default::default()
        };
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
            match self.courier.upload_answer(sealed.clone()).await {
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

    async fn claim(&self, row: &SellingJob) -> Result<(), WorkError> {
        let (Some(response_hash), Some(paid)) = (row.response_hash, row.payment) else { return Ok(()) };
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
    async fn refuse(&self, row: &SellingJob) -> Result<(), WorkError> {
        let job = row.job;
        if self.settling.contains(&job) {
            return Ok(());
        }
        // Best effort: the refund must not wait for the explanation.
        let reason_at = match row.sealed_answer.clone() {
            // An answer that came too late is no reason, and not to be had for nothing.
            Some(sealed) if row.usage.is_none() => {
                let uploading = Box::pin(self.courier.upload_answer(sealed));
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

    /// Announces an answer a few times more: nothing acknowledges it, and messages get lost.
    fn announce_again(self: &Arc<Self>, row: SellingJob) {
        let seller = Arc::clone(self);
        tokio::spawn(async move {
            for pause in ANNOUNCE_AGAIN {
                seller.clock.sleep(pause).await;
                seller.announce(&row).await;
            }
        });
    }

    /// Tells the client where its answer lies, if it said where to tell it.
    pub(super) async fn announce(&self, row: &SellingJob) {
        let Some(response_hash) = row.response_hash else { return };
        // A client of version 1 that waits for the acknowledgement does not read what comes without one: late, and before
        // the delivery, rather than never.
        if !self.told_ack.contains(&row.job) {
            self.tell_ack(row).await;
        }
        let deliver = JobDeliver { routing_id: row.request_hash.routing_id(), response_hash, ext: None };
        self.tell(row, MessageKind::JobDeliver, &deliver).await;
    }

    /// `true` if a message was sent, which is no proof that it arrived.
    async fn tell<B: serde::Serialize>(&self, row: &SellingJob, kind: MessageKind, body: &B) -> bool {
        let notice = match self.ledger.store.notice_by_request(row.client, row.request_hash).await {
            Ok(Some(notice)) => notice,
            Ok(None) => return false,
            Err(error) => {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a message could not be addressed");
                return false;
            }
        };
        let sent = match self.courier.sign(kind, row.client, body).await {
            Ok(message) => self.courier.send(&client_topic(row.client), notice.client_overlay, message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &sent {
            debug!(job = %row.job, ?kind, %error, "a message could not be sent; the chain tells the client");
        }
        sent.is_ok()
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
