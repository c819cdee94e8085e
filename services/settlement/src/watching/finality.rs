//! Transactions whose block is deep enough that no reorganisation takes it back.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Rpc};
use t4t_store::transactions::{StoredTransaction, TransactionId, TransactionState};
use t4t_types::Address;

use super::receipts::Receipts;
use crate::config::Pace;
use crate::head::Heads;
use crate::journal::Journal;
use crate::nonces::Uncounted;

/// A transaction that was stored so long ago becomes final on one endpoint's word, so that one which is away or lies for good
/// does not keep all of them open.
const ONE_WORD_AFTER_MS: u64 = 3600 * 1000;

/// Notes which transactions are final.
#[derive(Debug)]
pub(super) struct Finality {
    pub(super) rpc: Rpc,
    pub(super) wallet: Address,
    pub(super) journal: Journal,
    pub(super) heads: Arc<Heads>,
    pub(super) receipts: Receipts,
    pub(super) uncounted: Arc<Uncounted>,
    pub(super) pace: Pace,
}

/// The wallet's nonces that are used up deep in the chain, by each endpoint: asked for once in a look.
pub(super) type DeepCounts = Option<Vec<u64>>;

impl Finality {
    /// Whether a block is deep enough.
    pub(super) fn is_deep(&self, block: u64) -> bool {
        block.saturating_add(self.pace.confirmations) <= self.heads.number().saturating_add(1)
    }

    /// Notes those of these, whose block still stands and is deep enough, that are final: a block's hash can be copied
    /// beside a receipt that was made up, so every endpoint that answers has to count them, or a second one to show the
    /// receipt.
    pub(super) async fn settle(
        &self,
        rows: &[&StoredTransaction],
        counts: &mut DeepCounts,
    ) -> Result<(), SettlementError> {
        let settled = self.settled(rows, counts).await?;
        self.journal.finalize(&settled).await
    }

    async fn settled(
        &self,
        rows: &[&StoredTransaction],
        counts: &mut DeepCounts,
    ) -> Result<Vec<TransactionId>, SettlementError> {
        if self.rpc.endpoints() == 1 {
            return Ok(rows.iter().map(|row| row.id).collect());
        }
        let counts = match counts {
            Some(counts) => counts,
            None => counts.insert(self.read_deep_counts().await),
        };
        let is_witnessed = self.rpc.are_witnesses(counts.len());
        let mut settled = Vec::with_capacity(rows.len());
        let mut contradicted = false;
        for row in rows {
            let is_counted = is_witnessed && counts.iter().all(|count| *count > row.nonce);
            let is_old = row.created_at_ms.saturating_add(ONE_WORD_AFTER_MS) <= self.journal.now_ms();
            if is_counted || is_old || is_witnessed && self.is_shown_by_two(row).await {
                settled.push(row.id);
            } else {
                contradicted = true;
            }
        }
        if contradicted {
            self.uncounted.send_again(counts).await?;
        }
        Ok(settled)
    }

    async fn read_deep_counts(&self) -> Vec<u64> {
        let deep = self.heads.number().saturating_add(1).saturating_sub(self.pace.confirmations);
        self.rpc.transaction_counts(self.wallet, BlockTag::Number(deep)).await
    }

    async fn is_shown_by_two(&self, row: &StoredTransaction) -> bool {
        match &row.state {
            TransactionState::Included { inclusion, .. } => {
                self.receipts.is_shown_by_two(row, inclusion).await
            }
            TransactionState::Pending => false,
        }
    }
}
