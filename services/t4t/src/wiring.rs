//! The roles, each in this process: its services with mailboxes between them.

use anyhow::bail;
use t4t_crypto::WalletKey;
use t4t_runtime::Settings;

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Gateway {
    url: String,
}

impl Gateway {
    /// Starts a gateway for the wallet.
    pub(crate) async fn start(_settings: Settings, _wallet: WalletKey) -> anyhow::Result<Self> {
        bail!("the gateway's services are not there yet")
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Stops it.
    pub(crate) async fn stop(self) {}
}

/// A provider that runs.
#[derive(Debug)]
pub(crate) struct Provider {}

impl Provider {
    /// Starts a provider for the wallet.
    pub(crate) async fn start(_settings: Settings, _wallet: WalletKey) -> anyhow::Result<Self> {
        bail!("the provider's services are not there yet")
    }

    /// Stops it.
    pub(crate) async fn stop(self) {}
}
