//! What a transaction is to do, grouped by contract.

mod escrow;
mod registry;

use serde::{Deserialize, Serialize};

pub use escrow::EscrowIntent;
pub use registry::RegistryIntent;

/// What a transaction is to do. Sending money away and letting others take it are none of these: whoever may ask for
/// jobs may not empty the wallet.
///
/// In JSON the groups don't show: `{"intent":"ack_job","job":"0x…"}`. So no two contracts may have an intent of the same
/// name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TransactionIntent {
    /// With a job in escrow.
    Escrow(EscrowIntent),
    /// In the registry of providers.
    Registry(RegistryIntent),
}

impl From<EscrowIntent> for TransactionIntent {
    fn from(intent: EscrowIntent) -> Self {
        Self::Escrow(intent)
    }
}

impl From<RegistryIntent> for TransactionIntent {
    fn from(intent: RegistryIntent) -> Self {
        Self::Registry(intent)
    }
}

#[cfg(test)]
mod tests;
