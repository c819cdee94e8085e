//! Escrow transactions that wait for their block.

use std::collections::HashMap;
use std::sync::Arc;

use t4t_panics::Lock;
use t4t_types::TxHash;

use crate::buying::attempt::AttemptId;

/// Which attempt each transaction is for.
#[derive(Clone, Debug, Default)]
pub(super) struct InBlock(Arc<Lock<HashMap<TxHash, AttemptId>>>);

impl InBlock {
    /// Remembers a transaction until the guard is dropped.
    pub(super) fn enter(&self, transaction: TxHash, id: AttemptId) -> Entered {
        self.0.lock().insert(transaction, id);
        Entered { of: self.clone(), transaction }
    }

    /// The attempt that a transaction is for.
    pub(super) fn attempt(&self, transaction: &TxHash) -> Option<AttemptId> {
        self.0.lock().get(transaction).copied()
    }
}

/// Forgets its transaction when dropped.
#[derive(Debug)]
pub(super) struct Entered {
    of: InBlock,
    transaction: TxHash,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.of.0.lock().remove(&self.transaction);
    }
}
