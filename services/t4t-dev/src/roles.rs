//! What the roles of `t4t dev` are told; everything that the operator set elsewhere still holds.

use std::path::Path;

use t4t_chain::ContractAddresses;
use t4t_runtime::Settings;
use t4t_runtime::config::{Flag, Key, keys};
use url::Url;

use super::backend::Backend;
use super::folder::DevFolder;
use crate::args::DevArgs;

/// How often the chain is asked for news here, in milliseconds.
const POLL_MS: &str = "100";

/// What the roles stand on.
pub(super) struct Roles<'a> {
    pub(super) settings: &'a Settings,
    pub(super) args: &'a DevArgs,
    pub(super) folder: &'a DevFolder,
    pub(super) contracts: ContractAddresses,
    pub(super) bee_urls: Vec<String>,
}

impl Roles<'_> {
    /// The gateway's settings.
    pub(super) fn gateway(&self, chain: &[Url], more: Vec<Flag>) -> anyhow::Result<Settings> {
        let folder = self.folder.role("gateway")?;
        let mut flags = self.common(&folder, chain, &self.bee_urls[0]);
        flags.push(set(&keys::T4T_GATEWAY_HOST, "127.0.0.1"));
        match self.args.port {
            Some(port) => flags.push(Flag { flag: "--port", ..set(&keys::T4T_GATEWAY_PORT, port) }),
            None if self.args.check => flags.push(set(&keys::T4T_GATEWAY_PORT, 0)),
            None => {}
        }
        flags.extend(more);
        Ok(self.settings.with(flags)?)
    }

    /// The settings of a provider that sells what a backend at `url` serves.
    pub(super) fn provider(
        &self,
        chain: &[Url],
        (backend, url): (&Backend, &Url),
        more: Vec<Flag>,
    ) -> anyhow::Result<Settings> {
        let folder = self.folder.role("provider")?;
        let mut flags = self.common(&folder, chain, self.bee_urls.last().unwrap_or(&self.bee_urls[0]));
        flags.push(set(&keys::T4T_ENDPOINTS_FILE, backend.write_endpoints(&folder, url)?.display()));
        flags.push(set(&keys::T4T_DEACTIVATE_ON_SHUTDOWN, false));
        flags.extend(more);
        Ok(self.settings.with(flags)?)
    }

    fn common(&self, folder: &Path, chain: &[Url], bee_url: &str) -> Vec<Flag> {
        let chain: Vec<&str> = chain.iter().map(Url::as_str).collect();
        vec![
            set(&keys::GNOSIS_RPC_URL, chain.join(",")),
            set(&keys::REGISTRY_ADDRESS, self.contracts.registry),
            set(&keys::ESCROW_ADDRESS, self.contracts.escrow),
            set(&keys::XBZZ_ADDRESS, self.contracts.token),
            set(&keys::T4T_CHAIN_POLL_MS, POLL_MS),
            set(&keys::BEE_API_URL, bee_url),
            set(&keys::T4T_DATA_DIR, folder.display()),
            set(&keys::T4T_PSS_KEY_PATH, folder.join("pss.key").display()),
        ]
    }
}

/// A setting that the command decides.
pub(super) fn set(key: &'static Key, value: impl std::fmt::Display) -> Flag {
    Flag { key, value: value.to_string(), flag: "t4t dev" }
}
