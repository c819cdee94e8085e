//! What waits is sent again: the same bytes, or with a higher fee at the same nonce.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::StoredTransaction;

use crate::head::HeadReader;
use crate::journal::Journal;
use crate::sending::{Sender, Sending};
use crate::wallet::{Wallet, fees_of};

/// Sends what waits again.
#[derive(Debug)]
pub(super) struct Resending {
    pub(super) newest: Arc<HeadReader>,
    pub(super) wallet: Arc<Wallet>,
    pub(super) journal: Journal,
    pub(super) sender: Arc<Sender>,
}

impl Resending {
    /// Sends the newest version's bytes again.
    pub(super) async fn resend(&self, row: &StoredTransaction) {
        if let Some(version) = row.newest() {
            tracing::info!(key = row.key, nonce = row.nonce, hash = %version.hash, "sending a transaction again");
            self.sender.send(row.id, version, Sending::Again).await;
        }
    }

    /// Replaces a transaction by one that pays more, at the same nonce. Every version's hash is kept.
    pub(super) async fn raise(&self, row: &StoredTransaction) -> Result<(), SettlementError> {
        let Some(newest) = row.newest() else { return Ok(()) };
        self.newest.read_early().await?;
        let Some(fees) = self.newest.heads().raised(fees_of(newest)) else {
            tracing::warn!(
                key = row.key,
                nonce = row.nonce,
                "the fee limit is reached, waiting for cheaper blocks"
            );
            self.resend(row).await;
            return Ok(());
        };
        let version = self.wallet.sign(row.nonce, &row.call, fees);
        if self.journal.add_version(row, &version).await? {
            let max_fee_wei = fees.max_fee;
            tracing::info!(key = row.key, nonce = row.nonce, max_fee_wei, "raising a transaction's fee");
            self.sender.send(row.id, &version, Sending::First).await;
        }
        Ok(())
    }

    /// Whether it pays less than the newest block asked for.
    pub(super) fn is_too_cheap(&self, row: &StoredTransaction) -> bool {
        let base_fee = self.newest.heads().head().map_or(0, |head| head.base_fee);
        row.newest().is_some_and(|version| version.max_fee < base_fee)
    }
}
