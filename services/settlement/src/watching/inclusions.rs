//! Transactions that are in a block: noted with what they did there, or why the contract refused them.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_chain::{ContractAddresses, Receipt, events};
use t4t_runtime::KillPoint;
use t4t_store::transactions::{Inclusion, StoredTransaction};

use super::receipts::Receipts;
use super::refusals::Refusals;
use crate::books::Books;
use crate::in_flight::InFlight;
use crate::intent::{Effect, Intent};
use crate::journal::Journal;
use crate::outcomes::Outcomes;

/// Notes which transactions are in a block.
#[derive(Debug)]
pub(super) struct Inclusions {
    pub(super) receipts: Receipts,
    pub(super) refusals: Refusals,
    pub(super) journal: Journal,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) books: Arc<Books>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) contracts: ContractAddresses,
}

impl Inclusions {
    /// Notes those that are in a block and returns the others.
    pub(super) async fn include_mined<'a>(
        &self,
        rows: Vec<&'a StoredTransaction>,
    ) -> Result<Vec<&'a StoredTransaction>, SettlementError> {
        let receipts = self.receipts.read(&rows).await?;
        let mut missing = Vec::new();
        let asked = rows.len();
        for row in rows {
            match receipts.of(row) {
                Some(receipt) if self.receipts.is_believed(row, receipt).await? => {
                    self.include(row, receipt).await?;
                }
                _ => {
                    self.in_flight.missed(row.id, self.journal.now_ms());
                    missing.push(row);
                }
            }
        }
        if missing.len() < asked {
            self.outcomes.announce();
        }
        Ok(missing)
    }

    /// Whether any endpoint shows one in a block, and it is noted.
    pub(super) async fn include_shown_by_any(
        &self,
        row: &StoredTransaction,
    ) -> Result<bool, SettlementError> {
        let Some(receipt) = self.receipts.shown_by_any(row).await? else { return Ok(false) };
        self.include(row, &receipt).await?;
        self.outcomes.announce();
        Ok(true)
    }

    /// These are no longer where they were: notes where they are now, and returns those that are in no block any more.
    pub(super) async fn follow<'a>(
        &self,
        moved: &[&'a StoredTransaction],
    ) -> Result<Vec<&'a StoredTransaction>, SettlementError> {
        let receipts = self.receipts.read(moved).await?;
        let mut taken_back = Vec::new();
        for row in moved {
            if let Some(receipt) = receipts.of(row)
                && self.receipts.is_believed(row, receipt).await?
            {
                self.include(row, receipt).await?;
                continue;
            }
            tracing::warn!(key = row.key, nonce = row.nonce, hash = %row.hash, "a reorganisation took a block back");
            if self.journal.reopen(row.id).await? {
                self.books.forget();
                taken_back.push(*row);
            }
        }
        if !moved.is_empty() {
            self.outcomes.announce();
        }
        Ok(taken_back)
    }

    /// Notes that a version of a transaction is in a block. To be announced once all that were found are noted.
    async fn include(&self, row: &StoredTransaction, receipt: &Receipt) -> Result<(), SettlementError> {
        let revert = if receipt.success { None } else { Some(self.refusals.reason(row, receipt).await) };
        let intent = Intent::of(row)?;
        let decoded = receipt.logs.iter().filter_map(|log| events::decode(log, &self.contracts));
        let Effect { job, amount } = intent.effect_of_all(decoded);
        let inclusion = Inclusion {
            hash: receipt.tx,
            block: receipt.block_number,
            block_hash: *receipt.block_hash.as_bytes(),
            gas_used: receipt.gas_used,
            fee_wei: receipt.effective_gas_price.saturating_mul(receipt.gas_used.into()),
            job,
            amount,
            revert,
        };
        KillPoint::SettlementReceipt.pass();
        self.journal.include(row.id, &inclusion).await?;
        self.in_flight.found(row.id, self.journal.now_ms());
        if let Some(reason) = &inclusion.revert {
            tracing::warn!(key = row.key, hash = %receipt.tx, reason, "a transaction was reverted");
        }
        self.books.note_outcome(&intent, receipt.success)
    }
}
