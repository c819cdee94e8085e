//! What has to be known of an intent, whichever contract it is for.

use t4t_api::settlement::SettlementError;
use t4t_chain::{ChainEvent, ContractAddresses};
use t4t_types::{JobId, UnixSeconds, Xbzz};

use super::plan::Plan;

/// What has to be known of an intent, whichever contract it is for.
pub(crate) trait ContractIntent {
    /// What it calls, and what that takes from the wallet.
    fn plan(&self, contracts: &ContractAddresses) -> Result<Plan, SettlementError>;

    /// Whether the contract sees to it that doing this twice is the same as doing it once. If not, it gets a new nonce
    /// only when no reorganisation can bring the old version back.
    fn is_harmless_twice(&self) -> bool {
        true
    }

    /// When the contract begins to refuse it for good, by the chain's clock.
    fn deadline(&self) -> Option<UnixSeconds> {
        None
    }

    /// What one event of its receipt says that it did.
    fn effect(&self, _event: &ChainEvent) -> Option<Effect> {
        None
    }
}

/// What a transaction did in its block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The job it was about.
    pub(crate) job: Option<JobId>,
    /// What was paid or burned.
    pub(crate) amount: Option<Xbzz>,
}
