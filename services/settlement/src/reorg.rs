//! Blocks that are taken back: until a transaction's block is deep enough, it is compared with the chain's.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Receipt};
use t4t_store::transactions::{StoredTransaction, TransactionId, TransactionState};

use crate::core::Core;
use crate::error;
use crate::heads::Succession;
use crate::send::Sending;
use crate::watch::receipt_of;

/// A transaction that was stored so long ago becomes final on one endpoint's word, so that one which is away or lies for good
/// does not keep all of them open.
const ONE_WORD_AFTER_MS: u64 = 3600 * 1000;

/// Transactions in blocks that are not final, by block.
type ByBlock<'a> = BTreeMap<u64, Vec<(&'a StoredTransaction, [u8; 32])>>;

impl Core {
    /// Compares the blocks of included transactions with the chain: all of them if blocks were replaced, the highest
    /// if some were not seen (if it stands, those below do), and in any case those that are deep enough to be final.
    pub(crate) async fn recheck(
        &self,
        included: &[&StoredTransaction],
        succession: Succession,
    ) -> Result<(), SettlementError> {
        let blocks = by_block(included);
        let highest = blocks.keys().next_back().copied();
        let was_unfinished = self.compare_all.swap(false, Ordering::SeqCst);
        let succession = if was_unfinished { Succession::Replaced } else { succession };
        if succession == Succession::Replaced && !blocks.is_empty() {
            self.compare_all.store(true, Ordering::SeqCst);
        }
        let mut is_finished = true;
        let head = self.heads.head();
        let mut counts = None;
        for (&block, rows) in &blocks {
            // A block that was replaced before it was ever seen as the newest one continues what was seen.
            let is_another = |head: crate::heads::Head| {
                head.number == block && rows.iter().any(|(_, noted)| *noted != head.hash)
            };
            let differs = head.is_some_and(is_another);
            let asked = match succession {
                Succession::Replaced => true,
                Succession::Gap => differs || self.is_deep(block) || Some(block) == highest,
                Succession::Continues => differs || self.is_deep(block),
            };
            if asked {
                is_finished &= self.compare(block, rows, &mut counts).await?;
            }
        }
        self.compare_all.store(!is_finished, Ordering::SeqCst);
        Ok(())
    }

    fn is_deep(&self, block: u64) -> bool {
        block.saturating_add(self.config.pace.confirmations) <= self.heads.number().saturating_add(1)
    }

    /// Compares one block; `false` means that the endpoint does not have one at that height yet.
    async fn compare(
        &self,
        block: u64,
        rows: &[(&StoredTransaction, [u8; 32])],
        counts: &mut Option<Vec<u64>>,
    ) -> Result<bool, SettlementError> {
        let header = self.rpc.block_by_number(block).await.map_err(|cause| error::chain(&cause))?;
        let Some(header) = header else { return Ok(false) };
        let (mut stand, mut moved) = (Vec::new(), Vec::new());
        for (row, noted) in rows {
            if noted == header.hash.as_bytes() { stand.push(*row) } else { moved.push(*row) }
        }
        if self.is_deep(block) && !stand.is_empty() {
            let settled = self.settled(&stand, counts).await?;
            self.store.transactions_finalize(&settled).await.map_err(|cause| error::store(&cause))?;
        }
        self.follow(&moved).await?;
        Ok(true)
    }

    /// Those of these, which are deep enough, that are final: a block's hash can be copied beside a receipt that was made
    /// up, so every endpoint that answers has to count them, or a second one to show the receipt.
    async fn settled(
        &self,
        rows: &[&StoredTransaction],
        counts: &mut Option<Vec<u64>>,
    ) -> Result<Vec<TransactionId>, SettlementError> {
        if self.rpc.endpoints() == 1 {
            return Ok(rows.iter().map(|row| row.id).collect());
        }
        let deep = self.heads.number().saturating_add(1).saturating_sub(self.config.pace.confirmations);
        let counts = match counts {
            Some(counts) => counts,
            None => {
                counts.insert(self.rpc.transaction_counts(self.scope.wallet, BlockTag::Number(deep)).await)
            }
        };
        let is_witnessed = self.rpc.are_witnesses(counts.len());
        let mut settled = Vec::with_capacity(rows.len());
        let mut contradicted = false;
        for row in rows {
            let is_counted = is_witnessed && counts.iter().all(|count| *count > row.nonce);
            let is_old = row.created_at_ms.saturating_add(ONE_WORD_AFTER_MS) <= self.now_ms();
            if is_counted || is_old || is_witnessed && self.is_shown_by_two(row).await {
                settled.push(row.id);
            } else {
                contradicted = true;
            }
        }
        if contradicted {
            self.send_what_is_lacked(counts).await?;
        }
        Ok(settled)
    }

    /// Whether two endpoints show what is noted.
    async fn is_shown_by_two(&self, row: &StoredTransaction) -> bool {
        let TransactionState::Included { inclusion, .. } = &row.state else { return false };
        let receipts = self.rpc.receipts_by_all(row.hash).await;
        let is_noted = |receipt: &&Receipt| {
            *receipt.block_hash.as_bytes() == inclusion.block_hash
                && receipt.success == inclusion.revert.is_none()
        };
        receipts.iter().flatten().filter(is_noted).count() >= 2
    }

    /// These are no longer where they were: notes where they are now, or sends them again.
    async fn follow(&self, moved: &[&StoredTransaction]) -> Result<(), SettlementError> {
        let receipts = self.receipts(moved).await?;
        for row in moved {
            if let Some(receipt) = receipt_of(row, &receipts)
                && self.is_believed(row, receipt).await?
            {
                self.include(row, receipt).await?;
                continue;
            }
            tracing::warn!(key = row.key, nonce = row.nonce, hash = %row.hash, "a reorganisation took a block back");
            let reopened = self.store.transaction_reopen(row.id, self.now_ms()).await;
            if reopened.map_err(|cause| error::store(&cause))? {
                self.purse.forget();
                self.send_the_one_taken_back(row).await;
            }
        }
        if !moved.is_empty() {
            self.announce();
        }
        Ok(())
    }

    async fn send_the_one_taken_back(&self, row: &StoredTransaction) {
        let was_mined = row.versions.iter().find(|version| version.hash == row.hash);
        if let Some(version) = was_mined.or_else(|| row.newest()) {
            self.send(row.id, version, Sending::TakenUp).await;
        }
    }
}

fn by_block<'a>(included: &[&'a StoredTransaction]) -> ByBlock<'a> {
    let mut blocks = ByBlock::new();
    for row in included {
        if let TransactionState::Included { inclusion, is_final: false } = &row.state {
            blocks.entry(inclusion.block).or_default().push((row, inclusion.block_hash));
        }
    }
    blocks
}
