//! Receipts, and how far endpoints are believed about them.

use std::collections::HashMap;

use t4t_api::settlement::SettlementError;
use t4t_chain::{Receipt, Rpc};
use t4t_store::transactions::{Inclusion, StoredTransaction};
use t4t_types::TxHash;

use crate::error;
use crate::intent::{ContractIntent, Intent};

/// Reads receipts.
#[derive(Debug)]
pub(super) struct Receipts {
    rpc: Rpc,
}

/// Receipts that were found, by transaction.
#[derive(Debug, Default)]
pub(super) struct Found(HashMap<TxHash, Receipt>);

impl Found {
    /// The receipt of whichever version is in a block; one that did its work counts before one that was refused.
    pub(super) fn of(&self, row: &StoredTransaction) -> Option<&Receipt> {
        let found = || row.versions.iter().filter_map(|version| self.0.get(&version.hash));
        found().find(|receipt| receipt.success).or_else(|| found().next())
    }
}

impl Receipts {
    pub(super) const fn new(rpc: Rpc) -> Self {
        Self { rpc }
    }

    /// Receipts of every version of these transactions.
    pub(super) async fn read(&self, rows: &[&StoredTransaction]) -> Result<Found, SettlementError> {
        let hashes: Vec<TxHash> =
            rows.iter().flat_map(|row| &row.versions).map(|version| version.hash).collect();
        if hashes.is_empty() {
            return Ok(Found::default());
        }
        let found = self.rpc.receipts(&hashes).await.map_err(|cause| error::chain(&cause))?;
        Ok(Found(found.into_iter().flatten().map(|receipt| (receipt.tx, receipt)).collect()))
    }

    /// Whether a receipt is believed. One that says that a payment failed makes its owner pay another provider, so all
    /// endpoints that answer have to say it.
    pub(super) async fn is_believed(
        &self,
        row: &StoredTransaction,
        receipt: &Receipt,
    ) -> Result<bool, SettlementError> {
        if receipt.success {
            return Ok(true);
        }
        let receipts = self.rpc.receipts_by_all(receipt.tx).await;
        if Intent::of(row)?.is_harmless_twice() {
            return Ok(!receipts.iter().flatten().any(|receipt| receipt.success));
        }
        let has_failed = |receipt: &Option<Receipt>| receipt.as_ref().is_some_and(|receipt| !receipt.success);
        Ok(self.rpc.are_witnesses(receipts.len()) && receipts.iter().all(has_failed))
    }

    /// What another endpoint than the one that is asked first shows of a version in a block, if that is believed.
    pub(super) async fn shown_by_any(
        &self,
        row: &StoredTransaction,
    ) -> Result<Option<Receipt>, SettlementError> {
        if self.rpc.endpoints() == 1 {
            return Ok(None);
        }
        let mut shown = Vec::new();
        for version in &row.versions {
            shown.extend(self.rpc.receipts_by_all(version.hash).await.into_iter().flatten());
        }
        let best = shown.iter().find(|receipt| receipt.success).or(shown.first());
        let Some(receipt) = best else { return Ok(None) };
        Ok(self.is_believed(row, receipt).await?.then(|| receipt.clone()))
    }

    /// Whether two endpoints show what is noted.
    pub(super) async fn is_shown_by_two(&self, row: &StoredTransaction, inclusion: &Inclusion) -> bool {
        let receipts = self.rpc.receipts_by_all(row.hash).await;
        let is_noted = |receipt: &&Receipt| {
            *receipt.block_hash.as_bytes() == inclusion.block_hash
                && receipt.success == inclusion.revert.is_none()
        };
        receipts.iter().flatten().filter(is_noted).count() >= 2
    }
}
