//! Intents as they are stored: what callers may ask for, and what is decided here alone.

use serde::{Deserialize, Serialize};
use t4t_api::settlement::{SettlementError, TransactionIntent};
use t4t_chain::{ChainEvent, ContractAddresses};
use t4t_store::transactions::StoredTransaction;
use t4t_types::UnixSeconds;

use super::contract::{ContractIntent, Effect};
use super::plan::{Plan, Spender};
use super::wallet::OwnIntent;
use crate::error::invalid;

/// What a transaction is to do, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Intent {
    /// What a caller asked for.
    Asked(TransactionIntent),
    /// What no message can ask for.
    Own(OwnIntent),
}

impl Intent {
    /// What a stored transaction is to do.
    pub(crate) fn of(row: &StoredTransaction) -> Result<Self, SettlementError> {
        serde_json::from_str(&row.intent)
            .map_err(|cause| invalid(format!("the stored intent of {}: {cause}", row.key)))
    }

    /// Its stored form.
    pub(crate) fn to_text(&self) -> Result<String, SettlementError> {
        serde_json::to_string(self).map_err(|cause| invalid(cause.to_string()))
    }

    /// What is known of it by its contract.
    fn of_contract(&self) -> &dyn ContractIntent {
        match self {
            Self::Asked(TransactionIntent::Escrow(intent)) => intent,
            Self::Asked(TransactionIntent::Registry(intent)) => intent,
            Self::Own(intent) => intent,
        }
    }

    /// What the first event that says so says that it did.
    pub(crate) fn effect_of_all(&self, mut events: impl Iterator<Item = ChainEvent>) -> Effect {
        events.find_map(|event| self.effect(&event)).unwrap_or_default()
    }
}

impl Spender {
    /// All contracts that take xBZZ from the wallet by an allowance.
    pub(crate) const fn all(contracts: &ContractAddresses) -> [Self; 2] {
        [Self::escrow(contracts), Self::registry(contracts)]
    }
}

impl ContractIntent for Intent {
    fn plan(&self, contracts: &ContractAddresses) -> Result<Plan, SettlementError> {
        self.of_contract().plan(contracts)
    }

    fn is_harmless_twice(&self) -> bool {
        self.of_contract().is_harmless_twice()
    }

    fn deadline(&self) -> Option<UnixSeconds> {
        self.of_contract().deadline()
    }

    fn effect(&self, event: &ChainEvent) -> Option<Effect> {
        self.of_contract().effect(event)
    }
}
