//! What the chain tells of this provider's jobs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::registry_watcher::{JobEvent, JobHappening};
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::StoreError;
use t4t_types::{JobId, SwarmRef, Xbzz};
use tracing::{error, warn};

use super::chain::Chain;
use super::look_up::LookUp;
use super::reorgs::Reorgs;
use super::rows::{Rows, end_of};
use super::taking_in::TakingIn;
use crate::selling::payment::PaymentError;
use crate::selling::verification::LookRate;

/// The name of this reader's cursor.
const CURSOR: &str = "selling";

/// Blocks before the cursor that are told again: the cursor moves before everything told is worked through.
const OVERLAP_BLOCKS: u64 = 24;

/// The cursor is stored once in this many blocks.
const CURSOR_BLOCKS: u64 = 8;

/// How long to wait before the watcher is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the chain.
#[derive(Clone)]
pub(super) struct Follower {
    pub(super) chain: Chain,
    pub(super) rows: Rows,
    pub(super) reorgs: Arc<Reorgs>,
    pub(super) taking_in: TakingIn,
    pub(super) look_up: LookUp,
    pub(super) looks: Arc<LookRate>,
}

impl Follower {
    /// Follows the chain for as long as the process lives.
    pub(super) async fn follow(self) {
        loop {
            if let Err(error) = self.follow_once().await {
                warn!(%error, "the chain can't be followed now");
            }
            self.chain.clock.sleep(RETRY).await;
        }
    }

    async fn follow_once(&self) -> Result<(), PaymentError> {
        let store = &self.rows.store;
        let cursor = store.cursor_by_name(CURSOR).await?;
        // The very first start takes up what was posted while nobody was there.
        let since_block = cursor.unwrap_or(0).saturating_sub(OVERLAP_BLOCKS);
        let mut events = self.chain.watcher.open(self.chain.events_since(since_block)).await?;
        let mut moved_at = 0;
        while let Some(event) = events.next().await {
            let event = event?;
            self.on_event(&event).await?;
            if event.block >= moved_at + CURSOR_BLOCKS {
                store.cursor_set(CURSOR, event.block).await?;
                moved_at = event.block;
            }
        }
        Ok(())
    }

    async fn on_event(&self, event: &JobEvent) -> Result<(), StoreError> {
        let job = event.job;
        match &event.what {
            JobHappening::Posted { .. } => {
                self.looks.job_came();
                self.reorgs.posted(job);
                self.taking_in.spawn(job, event.block);
            }
            JobHappening::Acked => {}
            JobHappening::Claimed { response_hash, paid } => self.claimed(job, *response_hash, *paid).await?,
            JobHappening::Cancelled { slash } => self.lost(job, "cancelled", *slash).await?,
            JobHappening::TimedOut { slash } => self.lost(job, "timed out", *slash).await?,
            JobHappening::Reorganised => {
                self.reorgs.took_back(job);
                self.reorganised(job).await?;
            }
        }
        Ok(())
    }

    async fn claimed(&self, job: JobId, response_hash: SwarmRef, paid: Xbzz) -> Result<(), StoreError> {
        let Some(row) = self.rows.store.selling_by_job(job).await? else { return Ok(()) };
        if row.response_hash.is_some_and(|ours| ours != response_hash) {
            warn!(%job, %response_hash, "the chain shows a claim that this database does not know");
        }
        self.rows.happened(job, end_of(row.state, paid)).await?;
        Ok(())
    }

    async fn lost(&self, job: JobId, how: &str, slash: Xbzz) -> Result<(), StoreError> {
        let Some(row) = self.rows.store.selling_by_job(job).await? else { return Ok(()) };
        if matches!(row.state, SellingState::Claimed | SellingState::Refused) {
            // An event of before a reorganisation, or the first that is heard of one: the chain tells which.
            self.look_up.run(&row).await;
            return Ok(());
        }
        error!(%job, %slash, "a job was {how} by its client and stake was burned: see `t4t jobs show {job}`");
        let reason = format!("{how} by the client, {slash} xBZZ of the stake burned");
        self.rows.happened(job, SellingStep::Lost { reason }).await?;
        Ok(())
    }

    async fn reorganised(&self, job: JobId) -> Result<(), StoreError> {
        let Some(row) = self.rows.store.selling_by_job(job).await? else { return Ok(()) };
        self.look_up.run(&row).await;
        Ok(())
    }
}
