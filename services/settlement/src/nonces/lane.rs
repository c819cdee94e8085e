//! Nonces are given out, signed and stored in one step, so that parallel submissions get consecutive ones and never two the
//! same.

use std::sync::Arc;

use t4t_api::settlement::SettlementError;
use t4t_store::transactions::{StoredTransaction, StoredVersion, TransactionId};
use tokio::sync::Mutex;

use super::counts::NonceCounts;
use super::sequence::Sequence;
use crate::head::Heads;
use crate::journal::{Journal, NewEntry};
use crate::wallet::Wallet;

/// The only giver of nonces.
#[derive(Debug)]
pub(crate) struct Lane {
    wallet: Arc<Wallet>,
    journal: Journal,
    heads: Arc<Heads>,
    counts: Arc<NonceCounts>,
    /// Whoever holds it gives out nonces. Unknown at the start, and whenever it is not certain what was stored.
    sequence: Mutex<Option<Sequence>>,
}

/// A transaction that was stored and is to be sent.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: TransactionId,
    pub(crate) version: StoredVersion,
}

impl Lane {
    pub(crate) fn new(
        wallet: Arc<Wallet>,
        journal: Journal,
        heads: Arc<Heads>,
        counts: Arc<NonceCounts>,
    ) -> Self {
        Self { wallet, journal, heads, counts, sequence: Mutex::new(None) }
    }

    /// Gives a new transaction its nonce, signs it and commits it; `None` means that the key is taken.
    pub(crate) async fn store_new(&self, entry: NewEntry<'_>) -> Result<Option<Stored>, SettlementError> {
        let mut lane = self.sequence.lock().await;
        // Should this not return, what was stored is not known, and the next one reads it.
        let sequence = match lane.take() {
            Some(sequence) => sequence,
            None => self.counts.read_sequence(0).await?,
        };
        let version = self.wallet.sign(sequence.next, entry.call, sequence.fees(self.heads.fees()));
        let id = self.journal.add(entry, &version).await?;
        *lane = Some(if id.is_some() { sequence.advanced() } else { sequence });
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
        let mut lane = self.sequence.lock().await;
        *lane = None;
        let sequence = self.counts.read_sequence(at_least).await?;
        if !suits(sequence.next) {
            return Ok(None);
        }
        let version = self.wallet.sign(sequence.next, &row.call, sequence.fees(self.heads.fees()));
        let is_stored = self.journal.add_version(row, &version).await?;
        *lane = Some(if is_stored { sequence.advanced() } else { sequence });
        Ok(is_stored.then_some(version))
    }

    /// Fills a hole in the sequence with a given nonce, which no open transaction holds.
    pub(crate) async fn store_at(
        &self,
        nonce: u64,
        entry: NewEntry<'_>,
    ) -> Result<Option<Stored>, SettlementError> {
        let mut lane = self.sequence.lock().await;
        // What is next may be this one.
        *lane = None;
        let version = self.wallet.sign(nonce, entry.call, self.heads.fees());
        let id = self.journal.add(entry, &version).await?;
        Ok(id.map(|id| Stored { id, version }))
    }

    /// Forgets the sequence, so that it is read from the chain and the database again.
    pub(crate) async fn reset(&self) {
        *self.sequence.lock().await = None;
    }
}
