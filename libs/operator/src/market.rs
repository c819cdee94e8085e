//! The chain and the market on it, to be read.

use std::time::Duration;

use t4t_chain::{ChainError, ContractAddresses, Rpc, RpcConfig};
use t4t_clock::{SharedClock, SystemClock};
use t4t_runtime::Settings;
use t4t_runtime::config::{ChainSettings, ConfigError};
use t4t_store::Market;

/// How long a person waits for one answer of the chain.
const PATIENCE: Duration = Duration::from_secs(10);

/// The chain and the market on it.
#[derive(Debug)]
pub struct MarketView {
    /// The chain's endpoints.
    pub rpc: Rpc,
    /// Which chain it is.
    pub chain_id: u64,
    /// The market's contracts.
    pub contracts: ContractAddresses,
    /// What passes between two looks at the chain.
    pub clock: SharedClock,
}

/// The market can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// No client of the endpoints can be made.
    #[error("GNOSIS_RPC_URL can't be used")]
    Endpoints(#[source] ChainError),
}

impl MarketView {
    /// The market that the settings name.
    ///
    /// # Errors
    /// A setting is wrong, or no client of the endpoints can be made.
    pub fn open(settings: &Settings) -> Result<Self, MarketError> {
        let chain = ChainSettings::from_settings(settings)?;
        let config = RpcConfig { deadline: PATIENCE, ..RpcConfig::new(chain.rpc_urls) };
        let clock = SystemClock::shared();
        let rpc = Rpc::new(config, clock.clone()).map_err(MarketError::Endpoints)?;
        let contracts =
            ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
        Ok(Self { rpc, chain_id: chain.chain_id, contracts, clock })
    }

    /// The market that its rows belong to.
    pub const fn of_rows(&self) -> Market {
        Market { chain_id: self.chain_id, escrow: self.contracts.escrow }
    }
}
