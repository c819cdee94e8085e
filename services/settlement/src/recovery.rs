//! Start-up: every open transaction is taken to the chain, and what no block has is sent again, byte for byte.

use futures_util::future::join_all;
use t4t_api::settlement::SettlementError;
use t4t_runtime::recovery::TakenUp;
use t4t_store::transactions::{StoredTransaction, TransactionState};

use crate::core::Core;
use crate::error;
use crate::heads::Succession;
use crate::send::Sending;

/// Transactions sent at once; in order but for what overtakes on the way.
const SENT_AT_ONCE: usize = 8;

/// Final transactions are kept for 90 days.
const KEPT_MS: u64 = 90 * 24 * 3600 * 1000;

/// What the last run left open, and what became of it at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Found in a block.
    pub mined: u64,
    /// Found in a block and refused by the contract.
    pub reverted: u64,
    /// In no block, so their bytes were sent again.
    pub sent_again: u64,
    /// In a block that is not final yet.
    pub unfinal: u64,
    /// Refunds among those that were in no block known: cancellations and time-outs.
    pub refunds: u64,
}

impl From<Recovered> for TakenUp {
    fn from(recovered: Recovered) -> Self {
        Self {
            refunds_sent: recovered.refunds,
            transactions_sent_again: recovered.sent_again,
            transactions_mined: recovered.mined,
            transactions_reverted: recovered.reverted,
            ..Self::default()
        }
    }
}

impl Core {
    /// Takes up what the last run left open.
    pub(crate) async fn recover(&self) -> Result<Recovered, SettlementError> {
        let expired = self.store.transactions_expire(self.now_ms().saturating_sub(KEPT_MS)).await;
        expired.map_err(|cause| error::store(&cause))?;
        let _turn = self.looking.lock().await;
        let before = self.open_rows().await?;
        let pending: Vec<&StoredTransaction> = before.iter().filter(|row| row.is_pending()).collect();
        let missing = self.include_mined(pending.clone()).await?;
        for some in missing.chunks(SENT_AT_ONCE) {
            join_all(some.iter().map(|row| self.send_first(row))).await;
        }
        let included: Vec<&StoredTransaction> = before.iter().filter(|row| !row.is_pending()).collect();
        self.recheck(&included, Succession::Replaced).await?;
        let found = pending.len().saturating_sub(missing.len());
        self.summary(found, &pending, missing.len()).await
    }

    async fn send_first(&self, row: &StoredTransaction) {
        if let Some(version) = row.newest() {
            self.send(row.id, version, Sending::TakenUp).await;
        }
    }

    async fn open_rows(&self) -> Result<Vec<StoredTransaction>, SettlementError> {
        self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))
    }

    async fn summary(
        &self,
        found: usize,
        pending: &[&StoredTransaction],
        sent_again: usize,
    ) -> Result<Recovered, SettlementError> {
        let after = self.open_rows().await?;
        let was_pending = |row: &StoredTransaction| pending.iter().any(|before| before.id == row.id);
        let is_reverted = |row: &StoredTransaction| matches!(&row.state, TransactionState::Included { inclusion, .. } if inclusion.revert.is_some());
        let reverted = after.iter().filter(|row| was_pending(row) && is_reverted(row)).count();
        let unfinal = after.iter().filter(|row| !row.is_pending()).count();
        Ok(Recovered {
            mined: found.saturating_sub(reverted) as u64,
            reverted: reverted as u64,
            sent_again: sent_again as u64,
            unfinal: unfinal as u64,
            refunds: pending.iter().filter(|row| is_refund(&row.key)).count() as u64,
        })
    }
}

/// Whether a transaction's key names a refund that this wallet asked for.
fn is_refund(key: &str) -> bool {
    ["cancel:", "timeout:"].iter().any(|prefix| key.starts_with(prefix))
}
