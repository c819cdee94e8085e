//! What a provider does in the registry.

use serde::{Deserialize, Serialize};
use t4t_types::{EncryptionKey, Offering, Overlay, Xbzz};

/// What a transaction is to do in the registry of providers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum RegistryIntent {
    /// Registers this wallet as a provider.
    Register {
        /// The key that requests are sealed to.
        sealing_key: EncryptionKey,
        /// The provider's node in Swarm.
        overlay: Overlay,
        /// Where the provider describes itself; may be empty.
        metadata_uri: String,
        /// The stake.
        stake: Xbzz,
    },
    /// Replaces the list of models on offer.
    UpdateOfferings {
        /// The whole new list.
        offerings: Vec<Offering>,
    },
    /// Says that the provider is there.
    Heartbeat,
    /// Publishes how many jobs the provider works on at a time; 0 means no limit.
    SetMaxConcurrentJobs {
        /// The number.
        cap: u32,
    },
    /// Adds to the stake.
    AddStake {
        /// The amount.
        amount: Xbzz,
    },
    /// Leaves the market; the stake can be withdrawn after the unbonding period.
    Deactivate,
    /// Takes the stake back.
    WithdrawStake,
}
