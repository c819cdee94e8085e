//! Settings of the chain.

use std::time::Duration;

use t4t_types::Address;
use url::Url;

use super::error::ConfigError;
use super::{Settings, keys, kind};

/// The chain and the contracts on it.
#[derive(Clone)]
pub struct ChainSettings {
    /// JSON-RPC endpoints, best first; at least one (`GNOSIS_RPC_URL`).
    pub rpc_urls: Vec<Url>,
    /// The chain's number (`T4T_CHAIN_ID`, 100).
    pub chain_id: u64,
    /// The provider registry (`REGISTRY_ADDRESS`).
    pub registry: Address,
    /// The job escrow (`ESCROW_ADDRESS`).
    pub escrow: Address,
    /// The token that everything is paid in (`XBZZ_ADDRESS`).
    pub token: Address,
    /// How often to ask for the newest block (`T4T_CHAIN_POLL_MS`, 1000).
    pub poll_interval: Duration,
}

impl ChainSettings {
    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let rpc_urls = settings.list(&keys::GNOSIS_RPC_URL).into_iter().filter_map(kind::parse_url).collect();
        let address = |key| settings.required(key, "the contract must be known");
        Ok(Self {
            rpc_urls,
            chain_id: settings.whole(&keys::T4T_CHAIN_ID)?,
            registry: address(&keys::REGISTRY_ADDRESS)?,
            escrow: address(&keys::ESCROW_ADDRESS)?,
            token: address(&keys::XBZZ_ADDRESS)?,
            poll_interval: Duration::from_millis(settings.whole(&keys::T4T_CHAIN_POLL_MS)?),
        })
    }
}

/// Without the endpoints, whose paths often carry a key.
impl std::fmt::Debug for ChainSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.rpc_urls.iter().map(Url::host_str).collect();
        f.debug_struct("ChainSettings")
            .field("rpc_hosts", &hosts)
            .field("chain_id", &self.chain_id)
            .field("registry", &self.registry)
            .field("escrow", &self.escrow)
            .field("token", &self.token)
            .field("poll_interval", &self.poll_interval)
            .finish()
    }
}
