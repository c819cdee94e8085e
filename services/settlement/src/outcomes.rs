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

#[cfg(test)]
mod tests {
    use t4t_clock::SystemClock;
    use t4t_store::transactions::Inclusion;
    use t4t_types::TxHash;

    use super::*;
    use crate::scratch::Scratch;

    #[actix_web::test]
    async fn whoever_waits_is_told_once_the_transaction_is_in_a_block_and_else_when_the_limit_is_over() {
        let scratch = Scratch::new().await;
        let id = scratch.add("post:1", 0).await;
        let outcomes = Outcomes::new(scratch.journal.clone(), SystemClock::shared());
        let key = TransactionKey::new("post:1");
        let waited = outcomes.wait_for(&key, Duration::from_millis(1)).await.unwrap();
        assert_eq!(waited.outcome, TransactionOutcome::Pending);

        let inclusion = Inclusion {
            hash: TxHash::new([1; 32]),
            block: 7,
            block_hash: [2; 32],
            gas_used: 0,
            fee_wei: 0,
            job: None,
            amount: None,
            revert: Some("BadStatus".into()),
        };
        let noted = async {
            scratch.journal.include(id, &inclusion).await.unwrap();
            outcomes.announce();
        };
        let (waited, ()) =
            futures_util::future::join(outcomes.wait_for(&key, Duration::from_secs(60)), noted).await;
        let reverted = TransactionOutcome::Reverted { block: 7, reason: "BadStatus".into() };
        assert_eq!(waited.unwrap().outcome, reverted);
        assert!(matches!(outcomes.known("post:2").await, Err(SettlementError::UnknownTransaction { .. })));
    }
}
