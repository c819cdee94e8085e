//! What is overdue is taken back; what was found open after a restart is brought on its way.

use std::sync::Arc;

use t4t_api::registry_watcher::{GetHead, GetJob, Head, JobRole};
use t4t_api::settlement::{
    AwaitTransaction, SettlementError, SubmitTransaction, TransactionIntent, TransactionKey,
    TransactionOutcome, TransactionStatus,
};
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::{JobId, JobStatus, JobTerms, UnixSeconds};
use tracing::{debug, warn};

use super::paying::post_key;
use super::service::{Buyer, Recovered};
use crate::age::age_ms;
use crate::claims::kept_claim;

/// A job is looked at on the chain only once it is this old: until then, events and messages tell.
const LOOK_AFTER_MS: u64 = 35_000;

/// Chain seconds after the delivery deadline before a job whose answer came is timed out: the provider did its work
/// and may still be getting its claim mined, but the money has to reach an end.
const DELIVERED_GRACE_SECONDS: u64 = 600;

/// A row without a transaction is given up once it is this old: submitting one takes at most two minutes.
pub(super) const NEVER_PAID_AFTER_MS: u64 = 180_000;

/// How often the same job is taken back at most; more than once only after reorganisations.
const MOST_TIMES: u32 = 8;

/// What happened to jobs is kept this long.
const HISTORY_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// Chain seconds after a job's deadline in which the event of its claim is waited for.
const EVENT_PATIENCE_SECONDS: u64 = 3600;

impl Buyer {
    /// Looks at every open job again and again, for as long as the process lives.
    pub(super) async fn sweep_forever(self: Arc<Self>) {
        loop {
            self.clock.sleep(self.config.sweep_interval).await;
            self.sweep_once().await;
        }
    }

    /// Looks at every open job once.
    pub(super) async fn sweep_once(&self) {
        let open = match self.ledger.store.buying_list_open().await {
            Ok(open) => open,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "open jobs can't be looked at now");
                return;
            }
        };
        self.expire().await;
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

    async fn expire(&self) {
        let expired = async {
            self.ledger.store.envelopes_expire(self.clock.now()).await?;
            self.ledger.store.history_expire(self.clock.unix_millis().saturating_sub(HISTORY_KEPT_MS)).await
        };
        if let Err(error) = expired.await {
            warn!(error = &error as &dyn std::error::Error, "old rows can't be dropped now");
        }
    }

    /// Takes what a job's terms tell of its claim. What was paid is told by the event alone, which puts right what is
    /// guessed here: a claim that names nothing most likely took nothing, and what another one names can be fetched.
    async fn guess_claim(&self, row: &BuyingJob, terms: &JobTerms, chain_now: UnixSeconds) {
        if terms.response_hash.is_zero() {
            self.record(row, BuyingStep::Refused { reason_at: None }).await;
            return;
        }
        let response_hash = terms.response_hash;
        if chain_now.since(row.delivery_deadline) > EVENT_PATIENCE_SECONDS {
            self.record(row, BuyingStep::SeenClaimed { response_hash }).await;
        } else if row.state != BuyingState::Delivered {
            self.record(row, BuyingStep::Delivered { response_hash }).await;
        }
    }

    /// Takes a claim's event once more, if the watcher has kept it: it may have been told before a reorganisation of
    /// which this side learnt later. `false` if there is none.
    async fn claim_again(&self, row: &BuyingJob, job: JobId, head: Head) -> bool {
        let claim = kept_claim(&*self.watcher, &*self.clock, (self.wallet, JobRole::Client), job, head).await;
        let Some((response_hash, paid)) = claim else { return false };
        self.claimed(row, response_hash, paid).await;
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
            self.record(row, BuyingStep::Reorganised { forgets_job: true }).await;
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
            JobStatus::Cancelled => self.record(row, BuyingStep::Cancelled).await,
            JobStatus::TimedOut => self.record(row, BuyingStep::TimedOut).await,
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
            self.record(row, BuyingStep::Acked).await;
        }
        // A purchase that still waits has not seen the answer that was announced: then there may be none.
        let has_answer =
            row.state == BuyingState::Delivered && !self.ledger.is_watched((row.request_id, row.attempt));
        let grace = if has_answer { DELIVERED_GRACE_SECONDS } else { 0 };
        let (deadline, key, intent) = if is_acked {
            let deadline = terms.delivery_deadline.plus(grace);
            (deadline, TransactionKey::time_out(job), TransactionIntent::TimeOutJob { job })
        } else {
            // A message that says "acknowledged" costs nothing: only the chain's word counts. Whoever answered may
            // claim until the delivery deadline.
            let deadline = if has_answer {
                terms.delivery_deadline.plus(grace.max(self.config.ack_grace_seconds))
            } else {
                terms.ack_deadline.plus(self.ack_grace(row).await)
            };
            (deadline, TransactionKey::cancel(job), TransactionIntent::CancelJob { job })
        };
        if chain_now <= deadline {
            return;
        }
        match self.submit_taking_back(&key, &intent).await {
            Ok(status) => {
                if !is_acked {
                    self.fell_silent(row).await;
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
        let is_waited_for = self.ledger.is_watched((row.request_id, row.attempt));
        if is_waited_for && !self.has_another(&row.model, row.provider).await {
            self.config.lone_grace_seconds
        } else {
            self.config.ack_grace_seconds
        }
    }

    /// Submits what takes a job back; once more if the contract refused it before a reorganisation.
    async fn submit_taking_back(
        &self,
        key: &TransactionKey,
        intent: &TransactionIntent,
    ) -> Result<TransactionStatus, SettlementError> {
        let mut time = 1;
        loop {
            let submit = SubmitTransaction { key: key.of_time(time), intent: intent.clone() };
            let status = self.settlement.ask(submit).await?;
            if time >= MOST_TIMES || !matches!(status.outcome, TransactionOutcome::Reverted { .. }) {
                return Ok(status);
            }
            time += 1;
        }
    }

    /// Asks settlement what became of the escrow transaction.
    async fn find_job(&self, row: &BuyingJob) {
        match self.settlement.ask(AwaitTransaction { key: post_key(row), wait_ms: 0 }).await {
            Ok(status) => match status.outcome {
                TransactionOutcome::Mined { job: Some(job), .. } if row.job != Some(job) => {
                    self.record(row, BuyingStep::Posted { job }).await;
                }
                TransactionOutcome::Reverted { reason, .. } => {
                    self.record(row, BuyingStep::PostFailed { reason }).await;
                }
                _ => {}
            },
            // Only when settlement can't still be at work on it: it stores nothing until it knows that it may be sent.
            Err(SettlementError::UnknownTransaction { .. })
                if row.job.is_none()
                    && age_ms(row.created_at_ms, self.clock.unix_millis()) > NEVER_PAID_AFTER_MS
                    && !self.ledger.is_watched((row.request_id, row.attempt)) =>
            {
                let reason = "stopped before anything was paid".to_owned();
                self.record(row, BuyingStep::PostFailed { reason }).await;
            }
            Err(error) => debug!(request = %row.request_id, %error, "an open job can't be looked up now"),
        }
    }

    /// Takes up what an earlier run left open. No app waits for it any more; its money still has to reach an end, and
    /// who asks again with the same idempotency key gets its answer.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<Recovered, t4t_store::StoreError> {
        let open = self.ledger.store.buying_list_open().await?;
        let (mut recovered, now) = (Recovered::default(), self.clock.now());
        for row in open {
            self.find_job(&row).await;
            let Some(row) = self.ledger.store.buying_by_attempt((row.request_id, row.attempt)).await? else {
                continue;
            };
            match row.state {
                BuyingState::NotPosted => recovered.never_paid += 1,
                BuyingState::Delivered => recovered.answered += 1,
                state if state.is_final() => {}
                _ if row.delivery_deadline < now => recovered.overdue += 1,
                _ => {
                    recovered.waiting += 1;
                    recovered.in_escrow = recovered.in_escrow.saturating_add(row.max_payment);
                }
            }
            if !row.state.is_final() {
                self.capacity.took_up(row.provider, (row.request_id, row.attempt), row.max_payment);
            }
            if matches!(row.state, BuyingState::Planned | BuyingState::Posted) {
                // The payment is on its way or in escrow: the provider must be able to find the request.
                let buyer = Arc::clone(self);
                tokio::spawn(async move { buyer.deliver_request(&row).await });
            }
        }
        Ok(recovered)
    }
}
