//! What a node says about itself and its chain.

use reqwest::Method;
use serde::Deserialize;
use t4t_types::{Address, Overlay, Xbzz};

use super::Bee;
use crate::{PssPublicKey, SwarmError};

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAddresses {
    /// Its address in Swarm.
    pub overlay: Overlay,
    /// Where peers dial it.
    #[serde(default)]
    pub underlay: Vec<String>,
    /// Its wallet.
    pub ethereum: Address,
    /// Its identity key.
    pub public_key: PssPublicKey,
    /// The key that messages to it are encrypted to.
    pub pss_public_key: PssPublicKey,
}

/// What a node takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeMode {
    /// Stores and forwards; the only mode that receives messages.
    Full,
    /// Uploads and downloads.
    Light,
    /// Downloads.
    UltraLight,
    /// A development node.
    Dev,
    /// A mode this client does not know.
    #[serde(other)]
    Unknown,
}

impl NodeMode {
    /// Whether subscriptions on such a node receive anything.
    pub fn receives_messages(self) -> bool {
        matches!(self, Self::Full | Self::Dev)
    }
}

/// How a node was set up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// What it takes part in.
    pub bee_mode: NodeMode,
}

/// Whether a node is well.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok` or `nok`.
    pub status: String,
    /// The node's version, such as `2.8.1-7cf53193`.
    pub version: String,
    /// The API's version.
    pub api_version: String,
}

/// A node's view of the network; what it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Leading bits that the node's neighbourhood shares: the target depth of messages to it.
    pub storage_radius: Option<u8>,
    /// Whether it has just started.
    pub is_warming_up: Option<bool>,
    /// Whether peers can dial it.
    pub is_reachable: Option<bool>,
    /// How many peers it has.
    pub connected_peers: Option<u64>,
}

/// A node's view of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainState {
    /// The newest block.
    pub chain_tip: u64,
    /// The newest block that was read.
    pub block: u64,
    /// What a chunk costs for one block.
    pub current_price: Xbzz,
}

/// What a node can pay with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wallet {
    /// Its xBZZ.
    pub bzz_balance: Xbzz,
    /// Its xDAI, in wei, as a decimal number.
    pub native_token_balance: String,
    /// Which chain.
    #[serde(rename = "chainID")]
    pub chain_id: u64,
    /// Its wallet.
    pub wallet_address: Address,
}

impl Bee {
    /// Who the node is.
    pub async fn addresses(&self) -> Result<NodeAddresses, SwarmError> {
        self.json(&self.call("addresses", Method::GET, &["addresses"])).await
    }

    /// How the node was set up.
    pub async fn node(&self) -> Result<NodeInfo, SwarmError> {
        self.json(&self.call("node", Method::GET, &["node"])).await
    }

    /// Whether the node is well.
    pub async fn health(&self) -> Result<Health, SwarmError> {
        self.json(&self.call("health", Method::GET, &["health"])).await
    }

    /// The node's view of the network.
    pub async fn status(&self) -> Result<NodeStatus, SwarmError> {
        self.json(&self.call("status", Method::GET, &["status"])).await
    }

    /// The node's view of the chain.
    pub async fn chain_state(&self) -> Result<ChainState, SwarmError> {
        self.json(&self.call("chainstate", Method::GET, &["chainstate"])).await
    }

    /// What the node can pay with.
    pub async fn wallet(&self) -> Result<Wallet, SwarmError> {
        self.json(&self.call("wallet", Method::GET, &["wallet"])).await
    }
}
