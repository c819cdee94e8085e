//! A provider in the registry: its stake is taken from the wallet, the rest costs gas alone.

use t4t_api::settlement::{RegistryIntent, SettlementError};
use t4t_chain::contracts::{Offering, Registration};
use t4t_chain::{Call, ContractAddresses};
use t4t_types::{EncryptionKey, Overlay, Xbzz};

use super::contract::ContractIntent;
use super::plan::{Gas, MOST_USUAL_GAS, Plan, Spender};
use crate::error::invalid;

/// Gas for storing a byte of calldata in the registry: a new slot of 32 costs 22,100, its calldata 512.
const GAS_FOR_A_STORED_BYTE: u64 = 1000;

/// Gas that no call of the market needs.
const MOST_GAS: u64 = 10_000_000;

/// Longest description of a provider, in bytes, as our registry has it.
const MAX_METADATA_BYTES: usize = 512;

impl Spender {
    /// The registry takes a stake now and then, so that no more is allowed than that takes.
    pub(super) const fn registry(contracts: &ContractAddresses) -> Self {
        Self { contract: contracts.registry, takes_often: false }
    }
}

impl ContractIntent for RegistryIntent {
    fn plan(&self, contracts: &ContractAddresses) -> Result<Plan, SettlementError> {
        let registry = contracts.registry();
        Ok(match self {
            Self::Register { sealing_key, overlay, metadata_uri, stake } => {
                let registration = registration(*sealing_key, *overlay, metadata_uri, *stake)?;
                plan(registry.register(&registration)).taken_by(Spender::registry(contracts), *stake)
            }
            Self::UpdateOfferings { offerings } => {
                let offerings = offerings.iter().map(offering).collect::<Result<Vec<_>, _>>()?;
                plan(registry.update_offerings(&offerings))
            }
            Self::Heartbeat => plan(registry.heartbeat()),
            Self::SetMaxConcurrentJobs { cap } => plan(registry.set_max_concurrent_jobs(*cap)),
            Self::AddStake { amount } => {
                plan(registry.add_stake(*amount)).taken_by(Spender::registry(contracts), *amount)
            }
            Self::Deactivate => plan(registry.deactivate()),
            Self::WithdrawStake => plan(registry.withdraw_stake()),
        })
    }

    fn is_harmless_twice(&self) -> bool {
        !matches!(self, Self::AddStake { .. })
    }
}

fn plan(call: Call) -> Plan {
    let bytes = u64::try_from(call.data.len()).unwrap_or(MOST_GAS);
    let stored = bytes.saturating_mul(GAS_FOR_A_STORED_BYTE);
    let most = MOST_USUAL_GAS.saturating_add(stored).min(MOST_GAS);
    Plan::of(call, Gas::Estimated { least: 0, most })
}

fn registration(
    encryption_key: EncryptionKey,
    overlay: Overlay,
    metadata_uri: &str,
    stake: Xbzz,
) -> Result<Registration, SettlementError> {
    if metadata_uri.len() > MAX_METADATA_BYTES {
        return Err(invalid(format!("metadata_uri has more than {MAX_METADATA_BYTES} bytes")));
    }
    Ok(Registration { encryption_key, overlay, metadata_uri: metadata_uri.to_owned(), stake })
}

fn offering(offer: &t4t_types::Offering) -> Result<Offering, SettlementError> {
    let context = u64::try_from(offer.max_context_tokens);
    Ok(Offering {
        model: offer.model.clone(),
        prices: offer.prices,
        max_context_tokens: context.map_err(|_| invalid("max_context_tokens is above 2^64"))?,
        max_latency_seconds: offer.max_latency_seconds,
    })
}
