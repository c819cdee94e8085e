//! What the market stands on: a chain with the contracts, Swarm nodes, a backend.

use std::net::TcpListener;

use anyhow::Context;
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use t4t_chain::{ContractAddresses, deploy};
use t4t_crypto::WalletKey;
use t4t_runtime::Settings;
use t4t_runtime::config::{GatewaySettings, keys};
use t4t_terminal::Steps;
use t4t_types::{Address, Xbzz};
use url::Url;

use super::anvil::Anvil;
use super::backend::Backend;
use super::folder::DevFolder;
use super::money::Parties;
use super::roles::Roles;
use super::tools;
use crate::args::DevArgs;

/// What each wallet gets for gas: 1,000 xDAI.
const GAS_MONEY: u128 = 1_000 * 10u128.pow(18);

/// What the gateway's wallet gets to spend.
const GATEWAY_MONEY: Xbzz = Xbzz::from_whole(10_000);

/// What the provider's wallet gets; the registry takes 100 of it as stake.
const PROVIDER_MONEY: Xbzz = Xbzz::from_whole(1_000);

/// What the market stands on.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) folder: DevFolder,
    pub(super) backend: Backend,
    pub(super) parties: Parties,
    pub(super) bee: BeeDev,
    pub(super) anvil: Anvil,
}

/// The roles' wallets.
pub(super) struct Wallets {
    pub(super) gateway: WalletKey,
    pub(super) provider: WalletKey,
}

struct Chain {
    anvil: Anvil,
    contracts: ContractAddresses,
    wallets: Wallets,
}

impl World {
    /// Starts it, and makes and funds the roles' wallets.
    ///
    /// # Errors
    /// A part does not start; the error says which setting to change.
    pub(super) async fn start(
        args: &DevArgs,
        settings: &Settings,
        folder: DevFolder,
        steps: &Steps,
    ) -> anyhow::Result<(Self, Wallets)> {
        check_port(args, settings)?;
        let Chain { anvil, contracts, wallets } = start_chain(args, settings, &folder, steps).await?;
        let bee = steps.step("swarm", "starting two nodes", start_bee()).await?;
        let looking = choose_backend(args, settings);
        let backend = steps.step("inference", "looking for a backend", looking).await?;
        let (client, provider) = (wallets.gateway.address(), wallets.provider.address());
        let parties = Parties { rpc: anvil.rpc().clone(), contracts, client, provider };
        Ok((Self { folder, backend, parties, bee, anvil }, wallets))
    }

    /// What tells the roles about it.
    pub(super) fn roles<'a>(&'a self, args: &'a DevArgs, settings: &'a Settings) -> Roles<'a> {
        let (contracts, bee_urls) = (self.parties.contracts, self.bee.urls());
        Roles { settings, args, folder: &self.folder, contracts, bee_urls }
    }

    /// Where the chain is.
    pub(super) fn chain(&self) -> Url {
        self.anvil.url().clone()
    }

    /// Stops it.
    pub(super) async fn stop(self) {
        self.backend.stop().await;
        self.bee.stop().await;
        self.anvil.stop().await;
    }
}

/// Sees at once what would otherwise be seen last.
fn check_port(args: &DevArgs, settings: &Settings) -> anyhow::Result<()> {
    let port = match args.port {
        Some(port) => port,
        None if args.check => return Ok(()),
        None => GatewaySettings::from_settings(settings)?.bind.port(),
    };
    let free = TcpListener::bind(("127.0.0.1", port)).map(drop);
    free.with_context(|| format!("port {port} can't be had: choose another with --port N"))
}

async fn start_chain(
    args: &DevArgs,
    settings: &Settings,
    folder: &DevFolder,
    steps: &Steps,
) -> anyhow::Result<Chain> {
    let looking = tools::anvil(settings, folder.tools());
    let program = steps.step("anvil", "looking for it, else installing it with npm", looking).await?;
    let chain_id = settings.whole(&keys::T4T_CHAIN_ID)?;
    let anvil = steps
        .step("chain", "starting", async {
            let anvil = Anvil::start(&program, chain_id).await?;
            let said = format!("chain {chain_id} at {}", anvil.url());
            Ok((anvil, said))
        })
        .await?;
    steps.step("contracts", "deploying, funding wallets", set_up(anvil, &args.fund)).await
}

async fn set_up(anvil: Anvil, funded: &[Address]) -> anyhow::Result<(Chain, String)> {
    let new = || WalletKey::generate().context("no key can be made");
    let (deployer, gateway, provider) = (new()?, new()?, new()?);
    let wallets = [&deployer, &gateway, &provider].map(WalletKey::address);
    for wallet in wallets.iter().chain(funded) {
        anvil.set_balance(*wallet, GAS_MONEY).await?;
    }
    let rpc = anvil.rpc();
    let contracts = deploy::deploy_market(rpc, &deployer).await.context("the contracts can't be deployed")?;
    let mint = |to: Address, amount| contracts.token().mint(to, amount);
    let roles = [(gateway.address(), GATEWAY_MONEY), (provider.address(), PROVIDER_MONEY)];
    for (wallet, amount) in roles.into_iter().chain(funded.iter().map(|wallet| (*wallet, PROVIDER_MONEY))) {
        deploy::transact(rpc, &deployer, &mint(wallet, amount)).await.context("no xBZZ was made")?;
    }
    let said = format!("registry, escrow and xBZZ deployed, {GATEWAY_MONEY} xBZZ for the gateway");
    Ok((Chain { anvil, contracts, wallets: Wallets { gateway, provider } }, said))
}

async fn start_bee() -> anyhow::Result<(BeeDev, String)> {
    let config = BeeDevConfig { nodes: 2, faults: Faults::realistic(), ..BeeDevConfig::default() };
    Ok((BeeDev::start(config).await?, "two nodes".into()))
}

async fn choose_backend(args: &DevArgs, settings: &Settings) -> anyhow::Result<(Backend, String)> {
    let backend = Backend::choose(args.backend.as_ref(), settings).await?;
    let description = backend.description.clone();
    Ok((backend, description))
}
