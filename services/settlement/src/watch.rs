//! The watch over open transactions: one pass looks for all receipts that are due, in as few requests as it takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use t4t_api::settlement::SettlementError;
use t4t_chain::Receipt;
use t4t_store::transactions::{StoredTransaction, TransactionId, TransactionState};
use t4t_types::TxHash;

use crate::core::Core;
use crate::error;
use crate::heads::Succession;

/// Looks that are due within this time are made together.
const TOGETHER_MS: u64 = 5;

/// Pause between two passes at least, whatever is due.
const SHORTEST_PAUSE: Duration = Duration::from_millis(TOGETHER_MS);

/// Pause after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The newest block is not read more often than this, however fast blocks come.
const SHORTEST_REFRESH: Duration = Duration::from_millis(500);

/// A stored transaction that was not sent after this time lost its sender.
const LOST_AFTER_MS: u64 = 5_000;

/// Watches until settlement stops.
pub(crate) async fn run(core: Arc<Core>) {
    while !core.is_stopped() {
        let wait = core.until_next_look();
        tokio::select! {
            () = core.clock.sleep(wait) => {}
            () = core.wake.notified() => continue,
        }
        if core.is_stopped() {
            return;
        }
        if let Err(error) = core.look(false).await {
            tracing::warn!(%error, "the open transactions could not be looked at");
            core.clock.sleep(AFTER_FAILURE).await;
        }
    }
}

impl Core {
    fn until_next_look(&self) -> Duration {
        let now = self.now_ms();
        let look = self.pacing.next_look_ms().map(|at| Duration::from_millis(at.saturating_sub(now)));
        let head = self
            .heads
            .age(now)
            .map_or(Duration::ZERO, |age| self.config.pace.idle_refresh.saturating_sub(age));
        look.map_or(head, |look| look.min(head)).max(SHORTEST_PAUSE)
    }

    /// Looks at all open transactions that are due, or at every one, and does what each needs.
    pub(crate) async fn look(&self, at_all: bool) -> Result<(), SettlementError> {
        let _turn = self.looking.lock().await;
        let paced = self.pacing.known();
        let open = self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))?;
        // Stored before it was paced: what is not open any more was settled meanwhile, and would be looked for for ever.
        let pending: HashSet<TransactionId> =
            open.iter().filter(|row| row.is_pending()).map(|row| row.id).collect();
        paced.into_iter().filter(|id| !pending.contains(id)).for_each(|id| self.pacing.forget(id));
        let now = self.now_ms();
        let due = open.iter().filter(|row| row.is_pending() && (at_all || self.is_due(row, now)));
        let missing = self.include_mined(due.collect()).await?;
        let succession = self.follow_head(!missing.is_empty()).await?;
        // Whatever can't be mended now, what was taken back has to be seen.
        let mended = self.mend(&missing, &open).await;
        if let Some(succession) = succession {
            let included = open.iter().filter(|row| matches!(row.state, TransactionState::Included { .. }));
            self.recheck(&included.collect::<Vec<_>>(), succession).await?;
        }
        mended
    }

    fn is_due(&self, row: &StoredTransaction, now_ms: u64) -> bool {
        match self.pacing.get(row.id) {
            Some(sent) => sent.next_look_ms <= now_ms.saturating_add(TOGETHER_MS),
            None => row.created_at_ms.saturating_add(LOST_AFTER_MS) <= now_ms,
        }
    }

    /// Notes those that are in a block and returns the others.
    pub(crate) async fn include_mined<'a>(
        &self,
        rows: Vec<&'a StoredTransaction>,
    ) -> Result<Vec<&'a StoredTransaction>, SettlementError> {
        let receipts = self.receipts(&rows).await?;
        let mut missing = Vec::new();
        let asked = rows.len();
        for row in rows {
            match receipt_of(row, &receipts) {
                Some(receipt) if self.is_believed(row, receipt).await? => self.include(row, receipt).await?,
                _ => {
                    self.pacing.missed(row.id, &self.heads, self.now_ms());
                    missing.push(row);
                }
            }
        }
        if missing.len() < asked {
            self.announce();
        }
        Ok(missing)
    }

    /// Receipts of every version of these transactions.
    pub(crate) async fn receipts(
        &self,
        rows: &[&StoredTransaction],
    ) -> Result<HashMap<TxHash, Receipt>, SettlementError> {
        let hashes: Vec<TxHash> =
            rows.iter().flat_map(|row| &row.versions).map(|version| version.hash).collect();
        if hashes.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.rpc.receipts(&hashes).await.map_err(|cause| error::chain(&cause))?;
        Ok(found.into_iter().flatten().map(|receipt| (receipt.tx, receipt)).collect())
    }

    /// Reads the newest block if the last reading is old, which it is sooner while something waits.
    async fn follow_head(&self, something_waits: bool) -> Result<Option<Succession>, SettlementError> {
        let pace = self.config.pace;
        // Blocks that come faster are counted one by one, so that a fee is raised as soon as it has to be.
        let each_block = self.heads.interval().max(SHORTEST_REFRESH);
        let limit = if something_waits { pace.head_refresh.min(each_block) } else { pace.idle_refresh };
        if self.heads.age(self.now_ms()).is_some_and(|age| age < limit) {
            return Ok(None);
        }
        self.read_head().await.map(Some)
    }

    /// Reads the newest block outside the watch's turn; what it says of the chain is followed up at the next one.
    pub(crate) async fn read_head_early(&self) -> Result<(), SettlementError> {
        if self.read_head().await? != Succession::Continues {
            self.compare_all.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Reads the newest block.
    pub(crate) async fn read_head(&self) -> Result<Succession, SettlementError> {
        let header = self.rpc.latest_block().await.map_err(|cause| error::chain(&cause))?;
        Ok(self.heads.note(&header, self.now_ms()))
    }
}

/// The receipt of whichever version is in a block; one that did its work counts before one that was refused.
pub(crate) fn receipt_of<'a>(
    row: &StoredTransaction,
    receipts: &'a HashMap<TxHash, Receipt>,
) -> Option<&'a Receipt> {
    let found = || row.versions.iter().filter_map(|version| receipts.get(&version.hash));
    found().find(|receipt| receipt.success).or_else(|| found().next())
}
