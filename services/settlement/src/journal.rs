//! The wallet's transactions as they are stored: what survives a crash.

use t4t_api::settlement::SettlementError;
use t4t_chain::Fees;
use t4t_clock::SharedClock;
use t4t_store::transactions::{
    Inclusion, NewTransaction, StoredCall, StoredTransaction, StoredVersion, TransactionId, TransactionScope,
};
use t4t_store::{Store, StoreError};
use t4t_types::{Address, TxHash};

use crate::error;

/// What a row says of a transaction that only filled a place, if another transaction took it.
pub(crate) const FILLED_BY_ANOTHER: &str = "FilledByAnother";

/// What a payment's row says if its nonce was not reached before its deadline.
pub(crate) const NEVER_MINED: &str = "NeverMined";

/// Final transactions are kept for 90 days.
const KEPT_MS: u64 = 90 * 24 * 3600 * 1000;

/// The stored transactions of one wallet on one chain. Clones share the database.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    store: Store,
    scope: TransactionScope,
    clock: SharedClock,
}

/// A transaction that is about to be stored for the first time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEntry<'a> {
    /// What makes a second submission the same.
    pub(crate) key: &'a str,
    /// What it is to do, as it is stored.
    pub(crate) intent: &'a str,
    /// What is called.
    pub(crate) call: &'a StoredCall,
}

impl Journal {
    pub(crate) const fn new(store: Store, scope: TransactionScope, clock: SharedClock) -> Self {
        Self { store, scope, clock }
    }

    /// Now, in milliseconds since 1970: what rows are dated with.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.unix_millis()
    }

    /// All that are not final.
    pub(crate) async fn open(&self) -> Result<Vec<StoredTransaction>, SettlementError> {
        told(self.store.transactions_open(self.scope).await)
    }

    /// The one that has the key, without its versions.
    pub(crate) async fn by_key(&self, key: &str) -> Result<Option<StoredTransaction>, SettlementError> {
        told(self.store.transaction_by_key(self.scope, key).await)
    }

    /// How many are in no block.
    pub(crate) async fn pending_count(&self) -> Result<u64, SettlementError> {
        told(self.store.transactions_pending_count(self.scope).await)
    }

    /// Stores a new transaction; `None` if the key is taken.
    pub(crate) async fn add(
        &self,
        entry: NewEntry<'_>,
        version: &StoredVersion,
    ) -> Result<Option<TransactionId>, SettlementError> {
        let NewEntry { key, intent, call } = entry;
        let new = NewTransaction { key, intent, call, version, at_ms: self.now_ms() };
        told(self.store.transaction_insert(self.scope, &new).await)
    }

    /// Stores another version of one; `false` if it moved on meanwhile.
    pub(crate) async fn add_version(
        &self,
        row: &StoredTransaction,
        version: &StoredVersion,
    ) -> Result<bool, SettlementError> {
        told(self.store.transaction_version_insert(row.id, row.nonce, version, self.now_ms()).await)
    }

    /// Notes that a version waits nowhere, because another transaction has its nonce.
    pub(crate) async fn refuse_version(&self, hash: TxHash) -> Result<(), SettlementError> {
        told(self.store.transaction_version_refuse(hash).await)
    }

    /// Notes the block that one is in.
    pub(crate) async fn include(
        &self,
        id: TransactionId,
        inclusion: &Inclusion,
    ) -> Result<(), SettlementError> {
        told(self.store.transaction_include(id, inclusion, self.now_ms()).await).map(|_was_open| ())
    }

    /// Notes that the block of one was taken back; `false` if it is final.
    pub(crate) async fn reopen(&self, id: TransactionId) -> Result<bool, SettlementError> {
        told(self.store.transaction_reopen(id, self.now_ms()).await)
    }

    /// Notes that these stay as they are.
    pub(crate) async fn finalize(&self, ids: &[TransactionId]) -> Result<(), SettlementError> {
        told(self.store.transactions_finalize(ids).await)
    }

    /// The highest nonce that one of these has used for good.
    pub(crate) async fn highest_mined(&self) -> Result<Option<u64>, SettlementError> {
        told(self.store.transactions_highest_mined(self.scope, [FILLED_BY_ANOTHER, NEVER_MINED]).await)
    }

    /// The bytes of what is noted as mined at a nonce.
    pub(crate) async fn mined_at(&self, nonce: u64) -> Result<Option<Vec<u8>>, SettlementError> {
        told(self.store.transaction_mined_at(self.scope, nonce).await)
    }

    /// What was once signed for nonces from `from` on and counts no more, with its fees.
    pub(crate) async fn left_behind(&self, from: u64) -> Result<Vec<(u64, Fees)>, SettlementError> {
        let left = told(self.store.transactions_left_behind(self.scope, from).await)?;
        let with_fees = |(nonce, max_fee, max_priority)| (nonce, Fees { max_fee, max_priority });
        Ok(left.into_iter().map(with_fees).collect())
    }

    /// Another wallet that has open transactions in this database.
    pub(crate) async fn other_wallet(&self) -> Result<Option<Address>, StoreError> {
        self.store.transactions_other_wallet(self.scope).await
    }

    /// Forgets what has been final for long.
    pub(crate) async fn expire(&self) -> Result<(), SettlementError> {
        told(self.store.transactions_expire(self.now_ms().saturating_sub(KEPT_MS)).await).map(|_count| ())
    }
}

fn told<T>(answer: Result<T, StoreError>) -> Result<T, SettlementError> {
    answer.map_err(|cause| error::store(&cause))
}

#[cfg(test)]
mod tests {
    use crate::scratch::Scratch;

    #[actix_web::test]
    async fn what_was_given_up_does_not_count_as_a_nonce_that_was_used() {
        let scratch = Scratch::new().await;
        let id = scratch.add("gap:0", 3).await;
        let row = scratch.open().await.pop().unwrap();
        let given_up = |why: &str| t4t_store::transactions::Inclusion {
            hash: row.hash,
            block: 1,
            block_hash: [1; 32],
            gas_used: 0,
            fee_wei: 0,
            job: None,
            amount: None,
            revert: Some(why.to_owned()),
        };
        scratch.journal.include(id, &given_up(super::FILLED_BY_ANOTHER)).await.unwrap();
        scratch.journal.finalize(&[id]).await.unwrap();
        assert_eq!(scratch.journal.highest_mined().await, Ok(None));
        assert!(scratch.open().await.is_empty());
    }
}
