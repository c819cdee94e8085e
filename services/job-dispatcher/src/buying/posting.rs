//! Escrow transactions that wait for their block.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use t4t_types::TxHash;

use super::ledger::AttemptId;

/// Which attempt each transaction is for.
#[derive(Clone, Debug, Default)]
pub(super) struct Posting(Arc<Mutex<HashMap<TxHash, AttemptId>>>);

impl Posting {
    /// Remembers a transaction until the guard is dropped.
    pub(super) fn enter(&self, transaction: TxHash, id: AttemptId) -> Entered {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(transaction, id);
        Entered { of: self.clone(), transaction }
    }

    /// The attempt that a transaction is for.
    pub(super) fn attempt(&self, transaction: &TxHash) -> Option<AttemptId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(transaction).copied()
    }
}

/// Forgets its transaction when dropped.
#[derive(Debug)]
pub(super) struct Entered {
    of: Posting,
    transaction: TxHash,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.transaction);
    }
}
