//! Reading the newest block, no more often than its age calls for.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainError, Rpc};
use t4t_clock::SharedClock;

use super::heads::{Heads, Succession};
use crate::config::Pace;
use crate::error;

/// Fees are derived from a block that is at most this old; the watch sees to that unless the chain was away.
const OLDEST_HEAD: Duration = Duration::from_secs(60);

/// The newest block is not read more often than this, however fast blocks come.
const SHORTEST_REFRESH: Duration = Duration::from_millis(500);

/// Blocks whose average distance says how fast the chain is.
const INTERVAL_BLOCKS: u64 = 8;

/// The newest block, read when it is needed.
#[derive(Debug)]
pub(crate) struct HeadReader {
    rpc: Rpc,
    clock: SharedClock,
    heads: Arc<Heads>,
    pace: Pace,
}

impl HeadReader {
    pub(crate) const fn new(rpc: Rpc, clock: SharedClock, heads: Arc<Heads>, pace: Pace) -> Self {
        Self { rpc, clock, heads, pace }
    }

    /// What was read.
    pub(crate) const fn heads(&self) -> &Arc<Heads> {
        &self.heads
    }

    /// How long until the next reading is due where nothing waits for a block.
    pub(crate) fn until_due(&self) -> Duration {
        let age = self.heads.age(self.clock.unix_millis());
        age.map_or(Duration::ZERO, |age| self.pace.idle_refresh.saturating_sub(age))
    }

    /// Reads the newest block if the last reading is old, which it is sooner while something waits.
    pub(crate) async fn follow(&self, something_waits: bool) -> Result<Option<Succession>, SettlementError> {
        // Blocks that come faster are counted one by one, so that a fee is raised as soon as it has to be.
        let each_block = self.heads.interval().max(SHORTEST_REFRESH);
        let limit =
            if something_waits { self.pace.head_refresh.min(each_block) } else { self.pace.idle_refresh };
        if self.heads.age(self.clock.unix_millis()).is_some_and(|age| age < limit) {
            return Ok(None);
        }
        self.read().await.map(Some)
    }

    /// Reads it if what was read is too old for fees.
    pub(crate) async fn have_recent(&self) -> Result<(), SettlementError> {
        if self.heads.age(self.clock.unix_millis()).is_some_and(|age| age < OLDEST_HEAD) {
            return Ok(());
        }
        self.read_early().await
    }

    /// Reads it outside the watch's turn; what it says of the chain is followed up at the next one.
    pub(crate) async fn read_early(&self) -> Result<(), SettlementError> {
        if self.read().await? != Succession::Continues {
            self.heads.possible_reorg().report();
        }
        Ok(())
    }

    async fn read(&self) -> Result<Succession, SettlementError> {
        let header = self.rpc.latest_block().await.map_err(|cause| error::chain(&cause))?;
        Ok(self.heads.note(&header, self.clock.unix_millis()))
    }

    /// Reads it for the first time, and how fast blocks come.
    pub(crate) async fn begin(&self) -> Result<(), ChainError> {
        let newest = self.rpc.latest_block().await?;
        self.heads.note(&newest, self.clock.unix_millis());
        let blocks = INTERVAL_BLOCKS.min(newest.number);
        let earlier = self.rpc.block_by_number(newest.number - blocks).await?;
        let took_ms = earlier.map(|earlier| newest.timestamp.since(earlier.timestamp).saturating_mul(1000));
        if let Some(interval_ms) = took_ms.and_then(|took| took.checked_div(blocks)) {
            self.heads.note_interval(interval_ms);
        }
        Ok(())
    }
}
