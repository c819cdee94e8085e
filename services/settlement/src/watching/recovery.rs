//! Start-up: every open transaction is taken to the chain, and what no block has is sent again, byte for byte.

use std::sync::Arc;

use futures_util::future::join_all;
use t4t_api::settlement::SettlementError;
use t4t_runtime::recovery::TakenUp;
use t4t_store::transactions::{StoredTransaction, TransactionState};

use super::inclusions::Inclusions;
use super::reorgs::Reorgs;
use super::watch::Watch;
use crate::head::Succession;
use crate::journal::Journal;
use crate::sending::{Sender, Sending};

/// Transactions sent at once; in order but for what overtakes on the way.
const SENT_AT_ONCE: usize = 8;

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

/// Takes up what the last run left open.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(super) watch: Arc<Watch>,
    pub(super) journal: Journal,
    pub(super) inclusions: Arc<Inclusions>,
    pub(super) reorgs: Arc<Reorgs>,
    pub(super) sender: Arc<Sender>,
}

impl Recovery {
    /// Takes up what the last run left open.
    pub(crate) async fn take_up(&self) -> Result<Recovered, SettlementError> {
        self.journal.expire().await?;
        let _turn = self.watch.turn().await;
        let before = self.journal.open().await?;
        let pending: Vec<&StoredTransaction> = before.iter().filter(|row| row.is_pending()).collect();
        let missing = self.inclusions.include_mined(pending.clone()).await?;
        for some in missing.chunks(SENT_AT_ONCE) {
            join_all(some.iter().map(|row| self.send(row))).await;
        }
        let included: Vec<&StoredTransaction> = before.iter().filter(|row| !row.is_pending()).collect();
        self.reorgs.recheck(&included, Succession::Replaced).await?;
        let after = self.journal.open().await?;
        Ok(summary(&pending, missing.len(), &after))
    }

    async fn send(&self, row: &StoredTransaction) {
        if let Some(version) = row.newest() {
            self.sender.send(row.id, version, Sending::TakenUp).await;
        }
    }
}

/// What became of those that were in no block known.
fn summary(pending: &[&StoredTransaction], missing: usize, after: &[StoredTransaction]) -> Recovered {
    let was_pending = |row: &StoredTransaction| pending.iter().any(|before| before.id == row.id);
    let is_reverted = |row: &StoredTransaction| matches!(&row.state, TransactionState::Included { inclusion, .. } if inclusion.revert.is_some());
    let found = pending.len().saturating_sub(missing);
    let reverted = after.iter().filter(|row| was_pending(row) && is_reverted(row)).count();
    Recovered {
        mined: found.saturating_sub(reverted) as u64,
        reverted: reverted as u64,
        sent_again: missing as u64,
        unfinal: after.iter().filter(|row| !row.is_pending()).count() as u64,
        refunds: pending.iter().filter(|row| is_refund(&row.key)).count() as u64,
    }
}

/// Whether a transaction's key names a refund that this wallet asked for.
fn is_refund(key: &str) -> bool {
    ["cancel:", "timeout:"].iter().any(|prefix| key.starts_with(prefix))
}
