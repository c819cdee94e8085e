//! The wallet's sequence of nonces: given out, signed and stored in one step, so that parallel submissions get
//! consecutive ones and never two the same.

use t4t_api::settlement::SettlementError;
use t4t_chain::{BlockTag, Fees, TransactionRequest};
use t4t_store::transactions::{NewTransaction, StoredCall, StoredTransaction, StoredVersion, TransactionId};

use crate::core::Core;
use crate::error;

/// The next nonce; unknown at the start, and whenever it is not certain what was stored.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    next: Option<u64>,
}

/// A transaction that was stored and is to be sent.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: TransactionId,
    pub(crate) version: StoredVersion,
}

impl Core {
    /// Signs a call with the given nonce. The same arguments give the same bytes.
    pub(crate) fn sign(&self, nonce: u64, call: &StoredCall, fees: Fees) -> StoredVersion {
        let request = TransactionRequest {
            chain_id: self.config.chain_id,
            nonce,
            to: Some(call.to),
            data: call.data.clone(),
            value: call.value,
            gas_limit: call.gas_limit,
            fees,
        };
        let raw = request.sign(&self.wallet);
        StoredVersion {
            hash: raw.hash,
            nonce,
            raw: raw.bytes,
            max_fee: fees.max_fee,
            max_priority: fees.max_priority,
            refused: false,
        }
    }

    /// Gives a new transaction its nonce, signs it and commits it; `None` means that the key is taken.
    pub(crate) async fn store_new(
        &self,
        key: &str,
        intent: &str,
        call: &StoredCall,
    ) -> Result<Option<Stored>, SettlementError> {
        let mut lane = self.lane.lock().await;
        let nonce = self.next_nonce(&mut lane).await?;
        let version = self.sign(nonce, call, self.heads.fees());
        let new = NewTransaction { key, intent, call, version: &version, at_ms: self.now_ms() };
        // Should this not return, what was stored is not known, and the next one reads it.
        lane.next = None;
        let id =
            self.store.transaction_insert(self.scope, &new).await.map_err(|cause| error::store(&cause))?;
        lane.next = Some(if id.is_some() { nonce + 1 } else { nonce });
        Ok(id.map(|id| Stored { id, version }))
    }

    /// Stores an existing transaction with a new nonce at the end of the sequence; `None` if it moved on meanwhile.
    pub(crate) async fn store_again(
        &self,
        row: &StoredTransaction,
    ) -> Result<Option<StoredVersion>, SettlementError> {
        let mut lane = self.lane.lock().await;
        lane.next = None;
        let nonce = self.next_nonce(&mut lane).await?;
        let version = self.sign(nonce, &row.call, self.heads.fees());
        let stored = self.store.transaction_version_insert(row.id, row.nonce, &version, self.now_ms()).await;
        let is_stored = stored.map_err(|cause| error::store(&cause))?;
        lane.next = Some(if is_stored { nonce + 1 } else { nonce });
        Ok(is_stored.then_some(version))
    }

    /// Fills a hole in the sequence with a given nonce, which no open transaction holds.
    pub(crate) async fn store_at(
        &self,
        nonce: u64,
        key: &str,
        intent: &str,
        call: &StoredCall,
    ) -> Result<Option<Stored>, SettlementError> {
        let _lane = self.lane.lock().await;
        let version = self.sign(nonce, call, self.heads.fees());
        let new = NewTransaction { key, intent, call, version: &version, at_ms: self.now_ms() };
        let id =
            self.store.transaction_insert(self.scope, &new).await.map_err(|cause| error::store(&cause))?;
        Ok(id.map(|id| Stored { id, version }))
    }

    /// Forgets the next nonce, so that it is read from the chain and the database again.
    pub(crate) async fn reset_lane(&self) {
        self.lane.lock().await.next = None;
    }

    async fn next_nonce(&self, lane: &mut Lane) -> Result<u64, SettlementError> {
        if let Some(next) = lane.next {
            return Ok(next);
        }
        let counted = self.rpc.transaction_count(self.scope.wallet, BlockTag::Pending).await;
        let counted = counted.map_err(|cause| error::chain(&cause))?;
        let open = self.store.transactions_open(self.scope).await.map_err(|cause| error::store(&cause))?;
        // A node may have dropped what is stored here, so the stored ones count as well.
        let stored = open.iter().map(|row| row.nonce.saturating_add(1)).max().unwrap_or(0);
        let next = counted.max(stored);
        lane.next = Some(next);
        Ok(next)
    }
}
