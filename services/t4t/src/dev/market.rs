//! The market's parts, started one after the other.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults, InjectedError};
use t4t_chain::contracts::Offering;
use t4t_chain::{ContractAddresses, deploy};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::WalletKey;
use t4t_runtime::Settings;
use t4t_runtime::config::{Flag, GatewaySettings, Key, keys};
use t4t_types::{Address, Xbzz};

use super::DevArgs;
use super::anvil::Anvil;
use super::backend::Backend;
use super::folder::DevFolder;
use super::money::Ledger;
use super::tools;
use crate::steps::Steps;
use crate::wiring::{Gateway, Provider};

/// What each wallet gets for gas: 1,000 xDAI.
const GAS_MONEY: u128 = 1_000 * 10u128.pow(18);

/// What the gateway's wallet gets to spend.
const GATEWAY_MONEY: Xbzz = Xbzz::from_whole(10_000);

/// What the provider's wallet gets; the registry takes 100 of it as stake.
const PROVIDER_MONEY: Xbzz = Xbzz::from_whole(1_000);

/// How often the chain is asked for news here, in milliseconds.
const POLL_MS: &str = "100";

/// How long the provider may take to get its models on offer.
const OFFER_LIMIT: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// A market that runs.
#[derive(Debug)]
pub(crate) struct Market {
    pub(super) folder: DevFolder,
    pub(super) backend: Backend,
    pub(super) gateway: Gateway,
    pub(super) ledger: Ledger,
    pub(super) offers: Vec<Offering>,
    pub(super) chain_url: String,
    pub(super) bee_urls: Vec<String>,
    provider: Provider,
    bee: BeeDev,
    anvil: Anvil,
}

struct Chain {
    anvil: Anvil,
    contracts: ContractAddresses,
    gateway: WalletKey,
    provider: WalletKey,
}

impl Market {
    /// Starts everything.
    ///
    /// # Errors
    /// A part does not start; the error says which setting to change.
    pub(super) async fn start(
        args: &DevArgs,
        settings: &Settings,
        folder: DevFolder,
        steps: &Steps,
    ) -> anyhow::Result<Self> {
        check_port(args, settings)?;
        let Chain { anvil, contracts, gateway, provider } = start_chain(settings, &folder, steps).await?;
        let bee = steps.step("swarm", "starting two nodes", start_bee(args.chaos)).await?;
        let looking = choose_backend(args, settings);
        let backend = steps.step("inference", "looking for a backend", looking).await?;
        let (client, seller) = (gateway.address(), provider.address());
        let ledger = Ledger { rpc: anvil.rpc().clone(), contracts, client, provider: seller };
        let roles = Roles { settings, args, folder: &folder, anvil: &anvil, contracts, bee_urls: bee.urls() };
        let starting = start_provider(roles.provider(&backend)?, provider, &ledger);
        let (provider, offers) = steps.step("provider", "registering and offering models", starting).await?;
        anvil.set_block_time(args.block_time).await?;
        let starting = start_gateway(roles.gateway()?, gateway);
        let gateway = steps.step("gateway", "reading the directory", starting).await?;
        let (chain_url, bee_urls) = (anvil.url().to_string(), bee.urls());
        Ok(Self { folder, backend, gateway, ledger, offers, chain_url, bee_urls, provider, bee, anvil })
    }

    /// Stops everything, in the order in which nobody is left waiting.
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
        self.provider.stop().await;
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

async fn start_chain(settings: &Settings, folder: &DevFolder, steps: &Steps) -> anyhow::Result<Chain> {
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
    steps.step("contracts", "deploying, funding wallets", set_up(anvil)).await
}

async fn set_up(anvil: Anvil) -> anyhow::Result<(Chain, String)> {
    let new = || WalletKey::generate().context("no key can be made");
    let (deployer, gateway, provider) = (new()?, new()?, new()?);
    for key in [&deployer, &gateway, &provider] {
        anvil.set_balance(key.address(), GAS_MONEY).await?;
    }
    let rpc = anvil.rpc();
    let contracts = deploy::deploy_market(rpc, &deployer).await.context("the contracts can't be deployed")?;
    let mint = |to: Address, amount| contracts.token().mint(to, amount);
    for (key, amount) in [(&gateway, GATEWAY_MONEY), (&provider, PROVIDER_MONEY)] {
        deploy::transact(rpc, &deployer, &mint(key.address(), amount)).await.context("no xBZZ was made")?;
    }
    let said = format!("registry, escrow and xBZZ deployed, {GATEWAY_MONEY} xBZZ for the gateway");
    Ok((Chain { anvil, contracts, gateway, provider }, said))
}

async fn start_bee(chaos: bool) -> anyhow::Result<(BeeDev, String)> {
    let faults = if chaos { chaotic() } else { Faults::realistic() };
    let bee = BeeDev::start(BeeDevConfig { nodes: 2, faults, ..BeeDevConfig::default() }).await?;
    let said = if chaos { "two nodes, unreliable on purpose" } else { "two nodes" };
    Ok((bee, said.into()))
}

async fn choose_backend(args: &DevArgs, settings: &Settings) -> anyhow::Result<(Backend, String)> {
    let backend = Backend::choose(args.backend.as_ref(), settings).await?;
    let description = backend.description.clone();
    Ok((backend, description))
}

async fn start_provider(
    settings: Settings,
    wallet: WalletKey,
    ledger: &Ledger,
) -> anyhow::Result<((Provider, Vec<Offering>), String)> {
    let provider = Provider::start(settings, wallet).await.context("the provider does not start")?;
    let offers = wait_for_offers(ledger).await?;
    let said = format!("{} on offer, {} xBZZ at stake", count(offers.len(), "model"), stake(ledger).await?);
    Ok(((provider, offers), said))
}

async fn start_gateway(settings: Settings, wallet: WalletKey) -> anyhow::Result<(Gateway, String)> {
    let gateway = Gateway::start(settings, wallet).await;
    let gateway = gateway.context("the gateway does not start (where its port is used: --port N)")?;
    let said = format!("listening at {}", gateway.url());
    Ok((gateway, said))
}

/// What a bad day of the network looks like.
fn chaotic() -> Faults {
    Faults {
        delay_ms: 50,
        drop_messages: 0.3,
        duplicate_messages: 0.3,
        reorder_messages: 0.3,
        message_delay_ms: 200,
        not_found_first_n: 1,
        upload_error: Some(InjectedError { probability: 0.1, status: 500 }),
        ..Faults::realistic()
    }
}

async fn wait_for_offers(ledger: &Ledger) -> anyhow::Result<Vec<Offering>> {
    let registry = ledger.contracts.registry();
    let found = async {
        loop {
            if registry.is_live(&ledger.rpc, ledger.provider).await? {
                let offers = registry.offerings(&ledger.rpc, ledger.provider).await?;
                if !offers.is_empty() {
                    return anyhow::Ok(offers);
                }
            }
            SystemClock.sleep(PAUSE).await;
        }
    };
    match t4t_clock::timeout(&SystemClock, OFFER_LIMIT, found).await {
        Ok(found) => found,
        Err(_) => bail!(
            "the provider put no model on offer within {} s: set LOG_LEVEL=info and start again to see why",
            OFFER_LIMIT.as_secs()
        ),
    }
}

async fn stake(ledger: &Ledger) -> anyhow::Result<Xbzz> {
    Ok(ledger.contracts.registry().provider(&ledger.rpc, ledger.provider).await?.stake)
}

pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// What the roles are told; everything that the operator set elsewhere still holds.
struct Roles<'a> {
    settings: &'a Settings,
    args: &'a DevArgs,
    folder: &'a DevFolder,
    anvil: &'a Anvil,
    contracts: ContractAddresses,
    bee_urls: Vec<String>,
}

impl Roles<'_> {
    fn gateway(&self) -> anyhow::Result<Settings> {
        let folder = self.folder.role("gateway")?;
        let mut flags = self.common(&folder, &self.bee_urls[0]);
        flags.push(set(&keys::T4T_GATEWAY_HOST, "127.0.0.1"));
        match self.args.port {
            Some(port) => flags.push(Flag { flag: "--port", ..set(&keys::T4T_GATEWAY_PORT, port) }),
            None if self.args.check => flags.push(set(&keys::T4T_GATEWAY_PORT, 0)),
            None => {}
        }
        Ok(self.settings.with(flags)?)
    }

    fn provider(&self, backend: &Backend) -> anyhow::Result<Settings> {
        let folder = self.folder.role("provider")?;
        let mut flags = self.common(&folder, self.bee_urls.last().unwrap_or(&self.bee_urls[0]));
        flags.push(set(&keys::T4T_ENDPOINTS_FILE, backend.write_endpoints(&folder)?.display()));
        flags.push(set(&keys::T4T_DEACTIVATE_ON_SHUTDOWN, false));
        Ok(self.settings.with(flags)?)
    }

    fn common(&self, folder: &Path, bee_url: &str) -> Vec<Flag> {
        vec![
            set(&keys::GNOSIS_RPC_URL, self.anvil.url()),
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

fn set(key: &'static Key, value: impl std::fmt::Display) -> Flag {
    Flag { key, value: value.to_string(), flag: "t4t dev" }
}
