//! The wallet's sequence of nonces: given out, signed and stored in one step, so that parallel submissions get
//! consecutive ones and never two the same.

use t4t_api::settlement::SettlementError;
use t4t_chain::{Fees, TransactionRequest};
use t4t_store::transactions::{NewTransaction, StoredCall, StoredTransaction, StoredVersion, TransactionId};

use crate::core::Core;
use crate::counting::Sequence;
use crate::error;

/// The sequence; unknown at the start, and whenever it is not certain what was stored.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    sequence: Option<Sequence>,
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
        // Should this not return, what was stored is not known, and the next one reads it.
        let sequence = match lane.sequence.take() {
            Some(sequence) => sequence,
            None => self.read_sequence(0).await?,
        };
        let version = self.sign(sequence.next, call, sequence.fees(self.heads.fees()));
        let new = NewTransaction { key, intent, call, version: &version, at_ms: self.now_ms() };
        let id =
            self.store.transaction_insert(self.scope, &new).await.map_err(|cause| error::store(&cause))?;
        lane.sequence = Some(if id.is_some() { sequence.advanced() } else { sequence });
        Ok(id.map(|id| Stored { id, version }))
    }

    /// Stores an existing transaction at the lowest free nonce from `at_least` on, if `suits` says so; `None` if it moved
    /// on meanwhile.
    pub(crate) async fn store_again(
        &self,
        row: &StoredTransaction,
        at_least: u64,
        suits: impl Fn(u64) -> bool,
    ) -> Result<Option<StoredVersion>, SettlementError> {
        let mut lane = self.lane.lock().await;
        lane.sequence = None;
        let sequence = self.read_sequence(at_least).await?;
        if !suits(sequence.next) {
            return Ok(None);
        }
        let version = self.sign(sequence.next, &row.call, sequence.fees(self.heads.fees()));
        let stored = self.store.transaction_version_insert(row.id, row.nonce, &version, self.now_ms()).await;
        let is_stored = stored.map_err(|cause| error::store(&cause))?;
        lane.sequence = Some(if is_stored { sequence.advanced() } else { sequence });
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
        let mut lane = self.lane.lock().await;
        // What is next may be this one.
        lane.sequence = None;
        let version = self.sign(nonce, call, self.heads.fees());
        let new = NewTransaction { key, intent, call, version: &version, at_ms: self.now_ms() };
        let id =
            self.store.transaction_insert(self.scope, &new).await.map_err(|cause| error::store(&cause))?;
        Ok(id.map(|id| Stored { id, version }))
    }

    /// Forgets the sequence, so that it is read from the chain and the database again.
    pub(crate) async fn reset_lane(&self) {
        self.lane.lock().await.sequence = None;
    }
}
