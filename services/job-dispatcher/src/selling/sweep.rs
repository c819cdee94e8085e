//! What runs out of time is refused while that still costs nothing; what stopped is taken up again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use t4t_api::registry_watcher::GetJob;
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::StoreError;
use t4t_store::selling::SellingJob;
use t4t_types::{JobId, JobStatus, UnixSeconds};
use tracing::{debug, warn};

use super::reorg::status_of;
use super::service::{Recovered, Seller};
use crate::age::age_ms;

/// A settled state is read from the chain, rather than from events, once the claim is this old.
const LOOK_AFTER_MS: u64 = 60_000;

/// A job that the chain does not show is given up once it is this old.
const GONE_AFTER_MS: u64 = 300_000;

/// How often old rows are dropped.
const EXPIRE_EVERY_MS: u64 = 60_000;

/// What happened to jobs is kept this long.
const HISTORY_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// Notices are kept this long; a job is posted within seconds of its notice.
const NOTICES_KEPT_MS: u64 = 3_600_000;

impl Seller {
    /// Looks at every open job again and again, for as long as the process lives.
    pub(super) async fn sweep_forever(self: Arc<Self>) {
        loop {
            self.clock.sleep(self.config.sweep_interval).await;
            self.sweep_once().await;
        }
    }

    /// Looks at every open job once.
    pub(super) async fn sweep_once(self: &Arc<Self>) {
        if let Err(error) = self.sweep().await {
            warn!(error = &error as &dyn std::error::Error, "open jobs can't be looked at now");
        }
    }

    async fn sweep(self: &Arc<Self>) -> Result<(), StoreError> {
        self.expire_now_and_then().await?;
        // Remembered before the rows are read: what is settled meanwhile stays.
        let settling = self.settling.all();
        let open = self.ledger.store.selling_list_open().await?;
        let open_jobs: HashSet<JobId> = open.iter().map(|row| row.job).collect();
        settling.difference(&open_jobs).for_each(|job| self.settling.remove(job));
        if open.is_empty() {
            self.note_late_claims(&open, UnixSeconds::new(0), self.clock.unix_millis());
            return Ok(());
        }
        let chain_now = match self.chain_now().await {
            Ok(chain_now) => chain_now,
            Err(error) => {
                debug!(%error, "open jobs wait until the chain can be read");
                return Ok(());
            }
        };
        let now_ms = self.clock.unix_millis();
        self.note_late_claims(&open, chain_now, now_ms);
        for row in &open {
            self.sweep_row(row, chain_now, now_ms).await;
        }
        Ok(())
    }

    async fn sweep_row(self: &Arc<Self>, row: &SellingJob, chain_now: UnixSeconds, now_ms: u64) {
        let is_unfinished =
            matches!(row.state, SellingState::Accepted | SellingState::Working | SellingState::Answered);
        // Nothing was acknowledged yet: refusing is free until then, and late is dear.
        let ack_at = row.ack_deadline.minus(self.config.ack_margin_seconds);
        let is_unacked_late = row.state == SellingState::Accepted && chain_now >= ack_at;
        if is_unacked_late || (is_unfinished && chain_now >= self.give_up_at(row)) {
            if let Err(error) = self.decide_refusal(row, "the answer was not ready in time").await {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job could not be refused");
            }
            self.refuse_beside(row);
            return;
        }
        let is_settling = matches!(row.state, SellingState::Uploaded | SellingState::Refusing);
        if is_settling && let Err(error) = self.claim_again_if_refused(row).await {
            debug!(job = %row.job, error = &error as &dyn std::error::Error, "a refused claim waits");
        }
        if is_settling && age_ms(row.created_at_ms, now_ms) > LOOK_AFTER_MS {
            self.look_up(row).await;
        }
        self.spawn_work(row.job);
    }

    async fn expire_now_and_then(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_millis();
        let last_ms = self.expired_at_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last_ms) < EXPIRE_EVERY_MS {
            return Ok(());
        }
        self.expired_at_ms.store(now_ms, Ordering::Relaxed);
        self.expire().await
    }

    /// Sends the refusal of a job whose work hangs: the work itself ends when it next touches the row.
    fn refuse_beside(self: &Arc<Self>, row: &SellingJob) {
        let (seller, job) = (Arc::clone(self), row.job);
        tokio::spawn(async move {
            if let Err(error) = seller.refuse_now(job).await {
                warn!(%job, error = &error as &dyn std::error::Error, "a refusal could not be sent; it is tried again");
            }
        });
    }

    /// Reads a job from the chain and brings its row in line.
    pub(super) async fn look_up(&self, row: &SellingJob) {
        let terms = match self.watcher.ask(GetJob { job: row.job }).await {
            Ok(terms) => terms,
            Err(error) => {
                debug!(job = %row.job, %error, "an open job can't be read now");
                return;
            }
        };
        let status = status_of(row, &terms);
        let lost = || SellingStep::Lost { reason: format!("the chain shows it as {status:?}") };
        let step = match status {
            JobStatus::Claimed if row.state == SellingState::Refusing => SellingStep::Refused,
            JobStatus::Claimed if row.state == SellingState::Uploaded => SellingStep::SeenClaimed,
            JobStatus::Cancelled | JobStatus::TimedOut if row.state != SellingState::Lost => lost(),
            // Settled by the row, and the chain says otherwise.
            JobStatus::Pending | JobStatus::Acked if row.state.is_final() => SellingStep::Reorganised,
            // Nobody can claim it any more, and its client has not taken it back yet.
            JobStatus::Pending | JobStatus::Acked if self.is_past(row.delivery_deadline).await => lost(),
            // Taken back with all that was settled.
            JobStatus::None if matches!(row.state, SellingState::Claimed | SellingState::Refused) => {
                SellingStep::Reorganised
            }
            // Never posted, after a reorganisation: nothing to claim and nothing at stake. A node that is behind says
            // the same, for a while.
            JobStatus::None if !row.state.is_final() && self.age_ms(row) > GONE_AFTER_MS => lost(),
            _ => return,
        };
        self.settling.remove(&row.job);
        let changing = async {
            if matches!(step, SellingStep::Lost { .. }) && row.state.is_final() {
                // What settled it was taken back.
                self.ledger.happened(row.job, SellingStep::Reorganised).await?;
            }
            self.ledger.happened(row.job, step).await
        };
        if let Err(error) = changing.await {
            warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job's end could not be stored");
        }
    }

    fn age_ms(&self, row: &SellingJob) -> u64 {
        self.clock.unix_millis().saturating_sub(row.created_at_ms)
    }

    pub(super) async fn is_past(&self, deadline: UnixSeconds) -> bool {
        self.chain_now().await.is_ok_and(|chain_now| chain_now > deadline)
    }

    async fn expire(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_millis();
        let keep_ms = u64::try_from(self.config.keep_answers.as_millis()).unwrap_or(u64::MAX);
        self.ledger.store.envelopes_expire(self.clock.now()).await?;
        self.ledger.store.notices_expire(now_ms.saturating_sub(NOTICES_KEPT_MS)).await?;
        self.ledger.store.selling_answers_expire(now_ms.saturating_sub(keep_ms)).await?;
        self.ledger.store.history_expire(now_ms.saturating_sub(HISTORY_KEPT_MS)).await?;
        Ok(())
    }

    /// Takes up what an earlier run left open; the chain wins.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        for row in self.ledger.store.selling_list_open().await? {
            match row.state {
                SellingState::Answered | SellingState::Uploaded => recovered.answered += 1,
                SellingState::Refusing => recovered.refusing += 1,
                _ => recovered.unanswered += 1,
            }
            let seller = Arc::clone(self);
            tokio::spawn(async move {
                // The chain wins: a job that is over is not worked on.
                seller.look_up(&row).await;
                seller.spawn_work(row.job);
            });
        }
        Ok(recovered)
    }
}
