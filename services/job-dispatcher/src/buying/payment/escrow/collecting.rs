//! Waiting for an answer: from a paid row to what its provider delivered, or to the knowledge that it delivers nothing.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::job_dispatcher::BuyingProgress;
use t4t_clock::{SharedClock, timeout};
use t4t_crypto::SealingKey;
use t4t_protocol::job::BuyingState;
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::SwarmRef;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::super::Failed;
use super::ledger::Ledger;
use crate::buying::delivery::{Answer, AnswerError, fetch};
use crate::buying::log::PurchaseLog;
use crate::buying::trust::{Offence, Trust};
use crate::buying::wanted::AskedFor;
use crate::carriage::Courier;

/// How long one look for an answer lasts, once it is known where it lies.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// How long the reason of a refusal is looked for: it is not worth more.
const REASON_PATIENCE: Duration = Duration::from_secs(5);

/// How long nothing may be heard before the row is read again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Collects answers.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) courier: Arc<dyn Courier>,
    pub(super) sealing_key: Arc<SealingKey>,
    pub(super) ledger: Ledger,
    pub(super) trust: Trust,
    pub(super) clock: SharedClock,
}

impl Collector {
    /// Waits for what comes of a row.
    pub(super) async fn wait(
        &self,
        (row, asked): (&BuyingJob, AskedFor),
        mut rows: watch::Receiver<BuyingJob>,
        log: &PurchaseLog,
    ) -> Result<Answer, Failed> {
        let (mut told, mut is_doubted) = (BuyingState::Planned, false);
        let mut looked = Looked::default();
        let mut now = self.ledger.reread(row).await;
        loop {
            if now.state == BuyingState::Acked && told != BuyingState::Acked {
                log.push(BuyingProgress::Acked);
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
                Err(_) => self.ledger.reread(row).await,
            };
        }
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
        match fetch(&*self.courier, &self.sealing_key, (row, asked), reference, patience).await {
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
        let reason = fetch(&*self.courier, &self.sealing_key, (row, asked), reason_at, REASON_PATIENCE);
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
