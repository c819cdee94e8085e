//! What is overdue is taken back; what was found open after a restart is brought on its way.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::registry_watcher::{GetHead, GetJob, Head, JobRole};
use t4t_api::settlement::{
    AwaitTransaction, EscrowIntent, SettlementError, SubmitTransaction, TransactionKey, TransactionOutcome,
    TransactionStatus,
};
use t4t_clock::SharedClock;
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::{Address, JobId, JobStatus, JobTerms, UnixSeconds};
use tracing::{debug, warn};

use super::NEVER_PAID_AFTER_MS;
use super::claims::Claims;
use super::collecting::Collector;
use super::posting::{Poster, post_key};
use crate::age::age_ms;
use crate::buying::listing::Listing;
use crate::claims::kept_claim;

/// A job is looked at on the chain only once it is this old: until then, events and messages tell.
const LOOK_AFTER_MS: u64 = 35_000;

/// Chain seconds after the delivery deadline before a job whose answer came is timed out: the provider did its work
/// and may still be getting its claim mined, but the money has to reach an end.
const DELIVERED_GRACE_SECONDS: u64 = 600;

/// How often the same job is taken back at most; more than once only after reorganisations.
const MOST_TIMES: u32 = 8;

/// Chain seconds after a job's deadline in which the event of its claim is waited for.
const EVENT_PATIENCE_SECONDS: u64 = 3600;

/// Takes back what is overdue.
pub(super) struct Sweeper {
    pub(super) wallet: Address,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
    pub(super) poster: Poster,
    pub(super) claims: Claims,
    pub(super) collector: Collector,
    pub(super) listing: Listing,
    pub(super) clock: SharedClock,
    pub(super) grace: Grace,
}

/// Chain seconds after the acknowledgement's window before a job is cancelled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grace {
    pub(super) usual_seconds: u64,
    /// Where no other provider could serve the request.
    pub(super) lone_seconds: u64,
}

impl Sweeper {
    /// Looks at every open job once.
    pub(super) async fn sweep_once(&self) {
        let open = match self.poster.ledger.store.buying_list_open().await {
            Ok(open) => open,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "open jobs can't be looked at now");
                return;
            }
        };
        if open.is_empty() {
            return;
        }
        let head = match self.watcher.ask(GetHead {}).await {
            Ok(head) => head,
            Err(error) => {
                debug!(%error, "overdue jobs wait until the chain can be read");
                return;
            }
        };
        let now_ms = self.clock.unix_millis();
        for row in open.iter().filter(|row| age_ms(row.created_at_ms, now_ms) > LOOK_AFTER_MS) {
            self.sweep_row(row, head).await;
        }
    }

    /// Takes what a job's terms tell of its claim. What was paid is told by the event alone, which puts right what is
    /// guessed here: a claim that names nothing most likely took nothing, and what another one names can be fetched.
    async fn guess_claim(&self, row: &BuyingJob, terms: &JobTerms, chain_now: UnixSeconds) {
        if terms.response_hash.is_zero() {
            self.poster.ledger.record(row, BuyingStep::Refused { reason_at: None }).await;
            return;
        }
        let response_hash = terms.response_hash;
        if chain_now.since(row.delivery_deadline) > EVENT_PATIENCE_SECONDS {
            self.poster.ledger.record(row, BuyingStep::SeenClaimed { response_hash }).await;
        } else if row.state != BuyingState::Delivered {
            self.poster.ledger.record(row, BuyingStep::Delivered { response_hash }).await;
        }
    }

    /// Takes a claim's event once more, if the watcher has kept it: it may have been told before a reorganisation of
    /// which this side learnt later. `false` if there is none.
    async fn claim_again(&self, row: &BuyingJob, job: JobId, head: Head) -> bool {
        let claim = kept_claim(&*self.watcher, &*self.clock, (self.wallet, JobRole::Client), job, head).await;
        let Some((response_hash, paid)) = claim else { return false };
        self.claims.claimed(row, response_hash, paid).await;
        true
    }

    async fn sweep_row(&self, row: &BuyingJob, head: Head) {
        let chain_now = head.now();
        let Some(job) = row.job else {
            self.find_job(row).await;
            return;
        };
        let terms = match self.watcher.ask(GetJob { job }).await {
            Ok(terms) => terms,
            Err(error) => {
                debug!(%job, %error, "an open job can't be read now");
                return;
            }
        };
        if terms.status != JobStatus::None && terms.is_of_another(row.request_hash, row.delivery_deadline) {
            // A reorganisation gave the id to another request.
            self.poster.ledger.record(row, BuyingStep::Reorganised { forgets_job: true }).await;
            return;
        }
        match terms.status {
            JobStatus::Pending | JobStatus::Acked => {
                self.take_back_if_overdue(row, job, &terms, chain_now).await
            }
            JobStatus::Claimed if row.state != BuyingState::Delivered => {
                self.guess_claim(row, &terms, chain_now).await;
            }
            JobStatus::Claimed => {
                if !self.claim_again(row, job, head).await {
                    self.guess_claim(row, &terms, chain_now).await;
                }
            }
            JobStatus::Cancelled => self.poster.ledger.record(row, BuyingStep::Cancelled).await,
            JobStatus::TimedOut => self.poster.ledger.record(row, BuyingStep::TimedOut).await,
            JobStatus::None | JobStatus::Delivered => self.find_job(row).await,
        }
    }

    async fn take_back_if_overdue(
        &self,
        row: &BuyingJob,
        job: JobId,
        terms: &JobTerms,
        chain_now: UnixSeconds,
    ) {
        let is_acked = terms.status == JobStatus::Acked;
        if is_acked && row.state == BuyingState::Posted {
            self.poster.ledger.record(row, BuyingStep::Acked).await;
        }
        // A purchase that still waits has not seen the answer that was announced: then there may be none.
        let has_answer = row.state == BuyingState::Delivered
            && !self.poster.ledger.is_watched((row.request_id, row.attempt));
        let grace = if has_answer { DELIVERED_GRACE_SECONDS } else { 0 };
        let (deadline, key, intent) = if is_acked {
            let deadline = terms.delivery_deadline.plus(grace);
            (deadline, TransactionKey::time_out(job), EscrowIntent::TimeOutJob { job })
        } else {
            // A message that says "acknowledged" costs nothing: only the chain's word counts. Whoever answered may
            // claim until the delivery deadline.
            let deadline = if has_answer {
                terms.delivery_deadline.plus(grace.max(self.grace.usual_seconds))
            } else {
                terms.ack_deadline.plus(self.ack_grace(row).await)
            };
            (deadline, TransactionKey::cancel(job), EscrowIntent::CancelJob { job })
        };
        if chain_now <= deadline {
            return;
        }
        match self.submit_taking_back(&key, &intent).await {
            Ok(status) => {
                if !is_acked {
                    self.collector.fell_silent(row).await;
                }
                debug!(%job, hash = %status.hash, "an overdue job is being taken back");
                KillPoint::BuyingTakenBack.pass();
            }
            Err(SettlementError::Refused { reason, .. }) => {
                debug!(%job, reason, "an overdue job can't be taken back; the chain is read again");
            }
            Err(error) => warn!(%job, %error, "an overdue job can't be taken back now"),
        }
    }

    /// Chain seconds for which an acknowledgement is waited for beyond its window: longer where nobody else could serve.
    async fn ack_grace(&self, row: &BuyingJob) -> u64 {
        let is_waited_for = self.poster.ledger.is_watched((row.request_id, row.attempt));
        if is_waited_for && !self.listing.has_another(&row.model, row.provider).await {
            self.grace.lone_seconds
        } else {
            self.grace.usual_seconds
        }
    }

    /// Submits what takes a job back; once more if the contract refused it before a reorganisation.
    async fn submit_taking_back(
        &self,
        key: &TransactionKey,
        intent: &EscrowIntent,
    ) -> Result<TransactionStatus, SettlementError> {
        let mut time = 1;
        loop {
            let submit = SubmitTransaction { key: key.of_time(time), intent: intent.clone().into() };
            let status = self.poster.settlement.ask(submit).await?;
            if time >= MOST_TIMES || !matches!(status.outcome, TransactionOutcome::Reverted { .. }) {
                return Ok(status);
            }
            time += 1;
        }
    }

    /// Asks settlement what became of the escrow transaction.
    pub(super) async fn find_job(&self, row: &BuyingJob) {
        match self.poster.settlement.ask(AwaitTransaction { key: post_key(row), wait_ms: 0 }).await {
            Ok(status) => match status.outcome {
                TransactionOutcome::Mined { job: Some(job), .. } if row.job != Some(job) => {
                    self.poster.ledger.record(row, BuyingStep::Posted { job }).await;
                }
                TransactionOutcome::Reverted { reason, .. } => {
                    self.poster.ledger.record(row, BuyingStep::PostFailed { reason }).await;
                }
                _ => {}
            },
            // Only when settlement can't still be at work on it: it stores nothing until it knows that it may be sent.
            Err(SettlementError::UnknownTransaction { .. })
                if row.job.is_none()
                    && age_ms(row.created_at_ms, self.clock.unix_millis()) > NEVER_PAID_AFTER_MS
                    && !self.poster.ledger.is_watched((row.request_id, row.attempt)) =>
            {
                let reason = "stopped before anything was paid".to_owned();
                self.poster.ledger.record(row, BuyingStep::PostFailed { reason }).await;
            }
            Err(error) => debug!(request = %row.request_id, %error, "an open job can't be looked up now"),
        }
    }
}
