//! One attempt: from a planned row to an answer, or to the knowledge that this provider gives none.
//!
//! Every step is safe to take twice, so that an attempt found after a restart is simply driven again.

use std::time::Duration;

use t4t_api::job_dispatcher::{BuyAnswer, BuyingError, BuyingProgress};
use t4t_api::registry_watcher::GetHead;
use t4t_clock::timeout;
use t4t_crypto::{random_bytes, seal};
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_protocol::{RequestPayload, V1};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::{SwarmRef, Xbzz};
use tokio::sync::watch;
use tracing::{debug, warn};

use super::answer::{self, Answer, AnswerError, AskedFor};
use super::board::Purchase;
use super::bounds::Offer;
use super::service::Buyer;
use super::trust::Offence;

/// How long one look for an answer lasts, once it is known where it lies.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// How long the reason of a refusal is looked for: it is not worth more.
const REASON_PATIENCE: Duration = Duration::from_secs(5);

/// How long nothing may be heard before the row is read again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A request that the own node has not stored for so long explains a refusal: nobody could read it.
const OWN_FAULT_MS: u64 = 10_000;

/// Why an attempt gave no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Another provider may do better.
    Provider(String),
    /// The provider says that no provider would. That costs it nothing to say, so another one is asked as well.
    Blamed(BuyingError),
    /// It refused and took nothing: another provider may do better.
    Free(String),
    /// Its backend is busy or away: another provider may do better, and the app is told this if none does.
    Refused(BuyingError),
    /// The wallet does not have so much now: a cheaper provider may do.
    TooDear {
        /// What the attempt needs in escrow.
        needs: Xbzz,
        /// What to tell the app if no cheaper one is left.
        error: BuyingError,
    },
    /// No provider would.
    Request(BuyingError),
}

impl Buyer {
    /// Seals the request to a provider and stores the intent.
    pub(super) async fn plan(
        &self,
        (call, attempt): (&BuyAnswer, u32),
        offer: &Offer,
        explored: bool,
        delivery_seconds: u64,
    ) -> Result<BuyingJob, Failed> {
        let (candidate, model) = (&offer.known.candidate, &call.model);
        let payload = RequestPayload {
            v: V1,
            job_id: random_bytes().map_err(|error| unavailable(error.to_string()))?,
            client: self.wallet,
            model_id: model.clone(),
            openai_request: call.request.without_streaming(),
            client_key: self.sealing_key.public(),
            ts: self.clock.now(),
        };
        let json = payload.to_json();
        // No provider would read it: nothing is paid for that.
        RequestPayload::check_size(&json).map_err(|error| bad_request(error.to_string()))?;
        let sealed = seal(&candidate.sealing_key, &json)
            .map_err(|_| Failed::Provider("its published key is not a key".into()))?;
        // Deadlines are judged by the chain's time, whatever this machine's clock shows.
        let head = self.watcher.ask(GetHead {}).await.map_err(|error| unavailable(error.to_string()))?;
        let row = BuyingJob {
            request_id: call.id,
            attempt,
            state: BuyingState::Planned,
            provider: candidate.provider,
            provider_key: candidate.sealing_key,
            provider_overlay: candidate.overlay,
            model: model.clone(),
            prices: candidate.prices,
            request_hash: t4t_swarm::chunk::root_reference(&sealed),
            max_payment: offer.needs,
            delivery_deadline: head.now().plus(delivery_seconds),
            job: None,
            response_hash: None,
            paid: None,
            reason: None,
            created_at_ms: self.clock.unix_millis(),
            explored,
        };
        self.ledger.plan(&row, &sealed).await.map_err(|error| unavailable(error.to_string()))?;
        KillPoint::BuyingPlanned.pass();
        Ok(row)
    }

    /// Brings a row to an answer: uploads, pays, notifies and waits.
    pub(super) async fn drive(
        &self,
        row: BuyingJob,
        asked: AskedFor,
        purchase: &Purchase,
    ) -> Result<Answer, Failed> {
        let rows = self.ledger.watch(&row);
        let mut row = self.reread(&row).await;
        if row.state == BuyingState::Planned && !purchase.is_wanted() && !self.is_submitted(&row).await {
            let reason = "the app hung up before anything was paid".to_owned();
            self.record(&row, BuyingStep::PostFailed { reason: reason.clone() }).await;
            return Err(Failed::Request(BuyingError::Unavailable { reason }));
        }
        let sealed = self.sealed_request(&row).await.map_err(|error| unavailable(error.to_string()))?;
        let is_planned = row.state == BuyingState::Planned;
        let first = sealed.clone().filter(|sealed| is_planned && self.is_stored_first(sealed));
        let is_stored_first = first.is_some();
        if let Some(sealed) = first {
            row = self.store_first(row, sealed).await?;
        }
        let began_ms = self.clock.unix_millis();
        let uploading = async { is_stored_first || self.upload_request(&row, sealed).await };
        tokio::pin!(uploading);
        let mut uploaded = None;
        let submitted = {
            let submitting = self.submit_post(&row);
            tokio::pin!(submitting);
            // Side by side: neither depends on the other. A payment without a request comes back as a refusal.
            loop {
                tokio::select! {
                    submitted = &mut submitting => break submitted?,
                    end = &mut uploading, if uploaded.is_none() => uploaded = Some(end),
                }
            }
        };
        KillPoint::BuyingSubmitted.pass();
        let _posting = self.posting.enter(submitted.hash, (row.request_id, row.attempt));
        let posting = self.follow_post(&row, submitted, purchase);
        let notifying = self.notify(&row);
        let waiting = self.wait_for_answer((&row, asked), rows, purchase);
        tokio::pin!(notifying, posting, waiting);
        let (mut notified, mut posted, mut is_told) = (false, false, false);
        loop {
            if uploaded == Some(false) {
                if !posted {
                    posting.await;
                }
                let reason = "the Bee node does not store the request: see its log, and `t4t doctor`";
                return Err(unavailable(reason.to_owned()));
            }
            if uploaded == Some(true) && !is_told {
                KillPoint::BuyingUploaded.pass();
                is_told = true;
            }
            tokio::select! {
                end = &mut waiting => {
                    let slow_ms = self.clock.unix_millis().saturating_sub(began_ms);
                    let is_unstored = uploaded.is_none() && slow_ms >= OWN_FAULT_MS;
                    return self.blame_own_node(end, is_unstored).await;
                }
                // Whoever can't read the request yet is not told of it: peers ask once.
                end = &mut uploading, if uploaded.is_none() => uploaded = Some(end),
                () = &mut notifying, if uploaded == Some(true) && !notified => notified = true,
                () = &mut posting, if !posted => posted = true,
            }
        }
    }

    async fn wait_for_answer(
        &self,
        (row, asked): (&BuyingJob, AskedFor),
        mut rows: watch::Receiver<BuyingJob>,
        purchase: &Purchase,
    ) -> Result<Answer, Failed> {
        let (mut told, mut is_doubted) = (BuyingState::Planned, false);
        let mut looked = Looked::default();
        let mut now = self.reread(row).await;
        loop {
            if now.state == BuyingState::Acked && told != BuyingState::Acked {
                purchase.push(BuyingProgress::Acked);
            }
            told = now.state;
            let began_ms = self.clock.unix_millis();
            let patience = looked.patience(now.response_hash);
            // Whoever announced what is not there must not hold up what it then claims.
            tokio::select! {
                biased;
                end = self.judge(&now, asked, patience) => match end {
                    Some(end) => return end,
                    None if now.state == BuyingState::Delivered && !is_doubted => {
                        // It may still come, but others are asked first meanwhile.
                        is_doubted = true;
                        self.trust.failed(now.provider);
                    }
                    None => {}
                },
                () = is_moot(rows.clone(), now.response_hash) => {}
            }
            looked.note(now.response_hash, self.clock.unix_millis().saturating_sub(began_ms));
            // The database is asked again now and then: an answer that was not there yet, a change told by nobody.
            now = match timeout(&*self.clock, LOOK_AGAIN, rows.changed()).await {
                Ok(Ok(())) => rows.borrow_and_update().clone(),
                Ok(Err(_)) => return Err(Failed::Provider("the job is no longer followed".into())),
                Err(_) => self.reread(row).await,
            };
        }
    }

    /// The row as it is stored now.
    pub(super) async fn reread(&self, row: &BuyingJob) -> BuyingJob {
        let stored = self.ledger.store.buying_by_attempt((row.request_id, row.attempt)).await;
        stored.ok().flatten().unwrap_or_else(|| row.clone())
    }

    /// A provider did not acknowledge a job, and rests for that, unless its request may not have reached it: then this
    /// gateway's own node is to blame.
    pub(super) async fn fell_silent(&self, row: &BuyingJob) {
        if self.courier.own_trouble().await.is_none() {
            self.trust.silent(row.provider);
        }
    }

    /// What a row's newest state means for the purchase; `None` to wait on.
    async fn judge(
        &self,
        row: &BuyingJob,
        asked: AskedFor,
        patience: Duration,
    ) -> Option<Result<Answer, Failed>> {
        match row.state {
            BuyingState::Planned | BuyingState::Posted | BuyingState::Acked => None,
            BuyingState::Delivered | BuyingState::Claimed => self.collect(row, asked, patience).await,
            BuyingState::Refused => match row.response_hash.filter(|hash| !hash.is_zero()) {
                Some(reason_at) => Some(self.declined(row, asked, reason_at).await),
                None => outcome(row).map(|why| Err(Failed::Free(why))),
            },
            BuyingState::Cancelled => {
                self.fell_silent(row).await;
                outcome(row).map(|why| Err(Failed::Provider(why)))
            }
            BuyingState::TimedOut | BuyingState::NotPosted => {
                outcome(row).map(|why| Err(Failed::Provider(why)))
            }
        }
    }

    async fn collect(
        &self,
        row: &BuyingJob,
        asked: AskedFor,
        patience: Duration,
    ) -> Option<Result<Answer, Failed>> {
        let Some(reference) = row.response_hash else {
            let id = (row.request_id, row.attempt);
            self.trust.gave_none(id, row.provider, Offence::NoAnswer).await;
            return Some(Err(Failed::Provider("it was paid and named no answer".into())));
        };
        if patience.is_zero() && row.state != BuyingState::Claimed {
            // It was looked for long enough; the claim, or its absence, ends it.
            return None;
        }
        match answer::fetch(&*self.courier, &self.sealing_key, (row, asked), reference, patience).await {
            Ok(answer) => {
                KillPoint::BuyingFetched.pass();
                Some(Ok(answer))
            }
            // What is there stays what it is; only what could not be fetched may still come.
            Err(error) if row.state == BuyingState::Claimed || error.offence() != Offence::NotThere => {
                // At worst paid for nothing: the one request's price that a provider can take.
                let detail = format!("{error}, at {reference}");
                self.ledger.chronicle.note(row, "no usable answer", detail);
                let offence = error.offence();
                // What this gateway's own node can't fetch says nothing about a provider.
                if offence == Offence::NotThere && self.courier.own_trouble().await.is_some() {
                    self.trust.failed(row.provider);
                } else {
                    self.trust.gave_none((row.request_id, row.attempt), row.provider, offence).await;
                }
                Some(Err(Failed::Provider(error.to_string())))
            }
            Err(error) => {
                warn!(request = %row.request_id, %reference, %error, "an announced answer was not there");
                None
            }
        }
    }

    /// A claim of nothing that names something: the reason, or an answer that cost less than one PLUR.
    async fn declined(
        &self,
        row: &BuyingJob,
        asked: AskedFor,
        reason_at: SwarmRef,
    ) -> Result<Answer, Failed> {
        let reason =
            answer::fetch(&*self.courier, &self.sealing_key, (row, asked), reason_at, REASON_PATIENCE);
        match reason.await {
            Ok(answer) => Ok(answer),
            Err(AnswerError::Declined(decline)) => Err(if let Some(error) = decline.as_bad_request() {
                Failed::Blamed(error)
            } else if let Some(error) = decline.as_last_word() {
                Failed::Refused(error)
            } else {
                Failed::Free(decline.to_string())
            }),
            Err(error) => {
                debug!(request = %row.request_id, %error, "a refusal's reason could not be read");
                Err(Failed::Free("it refused the job".into()))
            }
        }
    }

    /// Applies a step; a database that fails is logged, since the chain and the sweep will tell again.
    pub(super) async fn record(&self, row: &BuyingJob, step: BuyingStep) {
        if step.is_end() {
            self.capacity.settled(row.provider, (row.request_id, row.attempt));
        }
        if let Err(error) = self.ledger.happened((row.request_id, row.attempt), step).await {
            warn!(request = %row.request_id, error = &error as &dyn std::error::Error, "an event could not be stored");
        }
    }
}

/// Returns once a row names another answer than this, or its payment is on its way back.
async fn is_moot(mut rows: watch::Receiver<BuyingJob>, known: Option<SwarmRef>) {
    while rows.changed().await.is_ok() {
        let (named, state) = {
            let row = rows.borrow_and_update();
            (row.response_hash, row.state)
        };
        let is_over = matches!(state, BuyingState::Cancelled | BuyingState::TimedOut);
        if is_over || (named.is_some() && named != known) {
            return;
        }
    }
    std::future::pending().await
}

fn bad_request(message: String) -> Failed {
    Failed::Request(BuyingError::BadRequest { message, param: None })
}

pub(super) fn unavailable(reason: String) -> Failed {
    Failed::Request(BuyingError::Unavailable { reason })
}

/// Why a row that is over gave no answer; `None` for one that may have.
pub(super) fn outcome(row: &BuyingJob) -> Option<String> {
    let why = match row.state {
        BuyingState::Planned | BuyingState::Posted | BuyingState::Acked => return None,
        BuyingState::Delivered | BuyingState::Claimed => "it was paid, and its answer could not be used",
        BuyingState::Refused => "it refused the job",
        BuyingState::Cancelled => "it did not acknowledge the job in time",
        BuyingState::TimedOut => "it did not answer in time",
        BuyingState::NotPosted => "the payment did not go into escrow",
    };
    Some(row.reason.clone().unwrap_or_else(|| why.to_owned()))
}

/// For how long answers were looked for: what is not there is waited for once, whoever announces or claims it.
#[derive(Debug, Default)]
struct Looked {
    at: Option<SwarmRef>,
    for_ms: u64,
}

impl Looked {
    /// How long to look at a reference now.
    fn patience(&self, reference: Option<SwarmRef>) -> Duration {
        if reference.is_some() && reference == self.at {
            ANSWER_PATIENCE.saturating_sub(Duration::from_millis(self.for_ms))
        } else {
            ANSWER_PATIENCE
        }
    }

    fn note(&mut self, reference: Option<SwarmRef>, for_ms: u64) {
        if reference != self.at {
            (self.at, self.for_ms) = (reference, 0);
        }
        self.for_ms = self.for_ms.saturating_add(for_ms);
    }
}
