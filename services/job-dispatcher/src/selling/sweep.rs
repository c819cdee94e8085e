//! What runs out of time is refused while that still costs nothing; what stopped is taken up again.

use std::sync::Arc;

use t4t_api::registry_watcher::GetJob;
use t4t_protocol::job::{SellingEvent, SellingState};
use t4t_store::StoreError;
use t4t_store::selling::{SellingChange, SellingJob};
use t4t_types::{JobStatus, UnixSeconds};
use tracing::{debug, warn};

use super::service::{Recovered, Seller};

/// A settled state is read from the chain, rather than from events, once the claim is this old.
const LOOK_AFTER_MS: u64 = 60_000;

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
        self.expire().await?;
        let open = self.ledger.store.selling_list_open().await?;
        if open.is_empty() {
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
        for row in &open {
            self.sweep_row(row, chain_now, now_ms).await;
        }
        Ok(())
    }

    async fn sweep_row(self: &Arc<Self>, row: &SellingJob, chain_now: UnixSeconds, now_ms: u64) {
        let is_unfinished =
            matches!(row.state, SellingState::Accepted | SellingState::Working | SellingState::Answered);
        let give_up_at = row.delivery_deadline.minus(self.config.give_up_seconds);
        if is_unfinished && chain_now >= give_up_at {
            if let Err(error) = self.decide_refusal(row, "the answer was not ready in time").await {
                warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job could not be refused");
            }
            self.refuse_beside(row);
            return;
        }
        let is_settling = matches!(row.state, SellingState::Uploaded | SellingState::Refusing);
        if is_settling && now_ms.saturating_sub(row.created_at_ms) > LOOK_AFTER_MS {
            self.look_up(row).await;
        }
        self.spawn_work(row.job);
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
        let event = match terms.status {
            JobStatus::Claimed if row.state == SellingState::Refusing => SellingEvent::Refused,
            JobStatus::Claimed if row.state == SellingState::Uploaded => SellingEvent::Claimed,
            JobStatus::Cancelled | JobStatus::TimedOut if row.state != SellingState::Lost => {
                SellingEvent::Lost
            }
            // Settled by the row, and the chain says otherwise.
            JobStatus::Pending | JobStatus::Acked if row.state.is_final() => SellingEvent::Reorganised,
            // Never posted, after a reorganisation: nothing to claim and nothing at stake.
            JobStatus::None if !row.state.is_final() => SellingEvent::Lost,
            _ => return,
        };
        if let Err(error) = self.ledger.happened(row.job, event, SellingChange::default()).await {
            warn!(job = %row.job, error = &error as &dyn std::error::Error, "a job's end could not be stored");
        }
    }

    async fn expire(&self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_millis();
        let keep_ms = u64::try_from(self.config.keep_answers.as_millis()).unwrap_or(u64::MAX);
        self.ledger.store.envelopes_expire(self.clock.now()).await?;
        self.ledger.store.notices_expire(now_ms.saturating_sub(NOTICES_KEPT_MS)).await?;
        self.ledger.store.selling_answers_expire(now_ms.saturating_sub(keep_ms)).await?;
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
            self.look_up(&row).await;
            self.spawn_work(row.job);
        }
        Ok(recovered)
    }
}
