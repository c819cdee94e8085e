//! Blocks that are taken back: until a transaction's block is deep enough, it is compared with the chain's.

use std::collections::BTreeMap;
use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::Rpc;
use t4t_store::transactions::{StoredTransaction, TransactionState};

use super::finality::{DeepCounts, Finality};
use super::inclusions::Inclusions;
use crate::error;
use crate::head::{Heads, Succession};
use crate::sending::{Sender, Sending};

/// Transactions in one block, with the hash that was noted for it.
type InBlock<'a> = Vec<(&'a StoredTransaction, [u8; 32])>;

/// Follows blocks that are taken back.
#[derive(Debug)]
pub(super) struct Reorgs {
    pub(super) rpc: Rpc,
    pub(super) heads: Arc<Heads>,
    pub(super) finality: Finality,
    pub(super) inclusions: Arc<Inclusions>,
    pub(super) sender: Arc<Sender>,
}

impl Reorgs {
    /// Compares the blocks of included transactions with the chain: all of them if blocks were replaced, the highest
    /// if some were not seen (if it stands, those below do), and in any case those that are deep enough to be final.
    pub(super) async fn recheck(
        &self,
        included: &[&StoredTransaction],
        succession: Succession,
    ) -> Result<(), SettlementError> {
        let blocks = by_block(included);
        let possible = self.heads.possible_reorg();
        let (succession, reports) = match possible.open() {
            Some(reports) => (Succession::Replaced, Some(reports)),
            // Stays open, should the comparison not come to its end.
            None if succession == Succession::Replaced && !blocks.is_empty() => {
                (succession, Some(possible.report()))
            }
            None => (succession, None),
        };
        match (self.compare_all(&blocks, succession).await?, reports) {
            (true, Some(reports)) => possible.answer(reports),
            (true, None) => {}
            (false, _) => {
                possible.report();
            }
        }
        Ok(())
    }

    /// `false` means that an endpoint did not have all of the blocks yet.
    async fn compare_all(
        &self,
        blocks: &BTreeMap<u64, InBlock<'_>>,
        succession: Succession,
    ) -> Result<bool, SettlementError> {
        let highest = blocks.keys().next_back().copied();
        let mut counts = None;
        let mut is_finished = true;
        for (&block, rows) in blocks {
            let is_due = match succession {
                Succession::Replaced => true,
                Succession::Gap => {
                    self.differs(block, rows) || self.finality.is_deep(block) || Some(block) == highest
                }
                Succession::Continues => self.differs(block, rows) || self.finality.is_deep(block),
            };
            if is_due {
                is_finished &= self.compare(block, rows, &mut counts).await?;
            }
        }
        Ok(is_finished)
    }

    /// Whether the newest block is another one than was noted: one that was replaced before it was ever seen as the newest
    /// continues what was seen.
    fn differs(&self, block: u64, rows: &InBlock<'_>) -> bool {
        let head = self.heads.head().filter(|head| head.number == block);
        head.is_some_and(|head| rows.iter().any(|(_, noted)| *noted != head.hash))
    }

    /// Compares one block; `false` means that the endpoint does not have one at that height yet.
    async fn compare(
        &self,
        block: u64,
        rows: &InBlock<'_>,
        counts: &mut DeepCounts,
    ) -> Result<bool, SettlementError> {
        let header = self.rpc.block_by_number(block).await.map_err(|cause| error::chain(&cause))?;
        let Some(header) = header else { return Ok(false) };
        let (mut stand, mut moved) = (Vec::new(), Vec::new());
        for (row, noted) in rows {
            if noted == header.hash.as_bytes() { stand.push(*row) } else { moved.push(*row) }
        }
        if self.finality.is_deep(block) && !stand.is_empty() {
            self.finality.settle(&stand, counts).await?;
        }
        for row in self.inclusions.follow(&moved).await? {
            self.send_the_one_taken_back(row).await;
        }
        Ok(true)
    }

    async fn send_the_one_taken_back(&self, row: &StoredTransaction) {
        let was_mined = row.versions.iter().find(|version| version.hash == row.hash);
        if let Some(version) = was_mined.or_else(|| row.newest()) {
            self.sender.send(row.id, version, Sending::TakenUp).await;
        }
    }
}

fn by_block<'a>(included: &[&'a StoredTransaction]) -> BTreeMap<u64, InBlock<'a>> {
    let mut blocks = BTreeMap::<u64, InBlock<'a>>::new();
    for row in included {
        if let TransactionState::Included { inclusion, is_final: false } = &row.state {
            blocks.entry(inclusion.block).or_default().push((row, inclusion.block_hash));
        }
    }
    blocks
}
