//! What became of transactions, for whoever asks and whoever waits.

use std::time::Duration;

use t4t_api::settlement::{SettlementError, TransactionKey, TransactionOutcome, TransactionStatus};
use t4t_clock::SharedClock;
use t4t_store::transactions::{StoredTransaction, TransactionState};
use tokio::sync::watch;

use crate::journal::Journal;

/// What became of transactions.
#[derive(Debug)]
pub(crate) struct Outcomes {
    journal: Journal,
    clock: SharedClock,
    /// Counts changes.
    changed: watch::Sender<u64>,
}

impl Outcomes {
    pub(crate) fn new(journal: Journal, clock: SharedClock) -> Self {
        Self { journal, clock, changed: watch::Sender::new(0) }
    }

    /// Tells whoever waits that an outcome changed.
    pub(crate) fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The state of the transaction that has the key, if one does.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<TransactionStatus>, SettlementError> {
        Ok(self.journal.by_key(key).await?.as_ref().map(status))
    }

    /// The same of one that has to be there.
    pub(crate) async fn known(&self, key: &str) -> Result<TransactionStatus, SettlementError> {
        let unknown = || SettlementError::UnknownTransaction { key: TransactionKey::new(key) };
        self.find(key).await?.ok_or_else(unknown)
    }

    /// Waits until a transaction is in a block, for at most `limit`.
    pub(crate) async fn wait_for(
        &self,
        key: &TransactionKey,
        limit: Duration,
    ) -> Result<TransactionStatus, SettlementError> {
        let mut changed = self.changed.subscribe();
        let settled = async {
            loop {
                let now = self.known(key.as_str()).await?;
                if now.outcome != TransactionOutcome::Pending || changed.changed().await.is_err() {
                    return Ok(now);
                }
            }
        };
        match t4t_clock::timeout(&*self.clock, limit, settled).await {
            Ok(status) => status,
            Err(t4t_clock::Elapsed) => self.known(key.as_str()).await,
        }
    }
}

/// A stored transaction as callers see it.
fn status(row: &StoredTransaction) -> TransactionStatus {
    let outcome = match &row.state {
        TransactionState::Pending => TransactionOutcome::Pending,
        TransactionState::Included { inclusion, .. } => match &inclusion.revert {
            Some(reason) => TransactionOutcome::Reverted { block: inclusion.block, reason: reason.clone() },
            None => TransactionOutcome::Mined {
                block: inclusion.block,
                gas_used: inclusion.gas_used,
                fee_wei: inclusion.fee_wei,
                job: inclusion.job,
                amount: inclusion.amount,
            },
        },
    };
    TransactionStatus { key: TransactionKey::new(row.key.clone()), nonce: row.nonce, hash: row.hash, outcome }
}
