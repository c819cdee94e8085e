//! The market under faults: each role in a process of its own, and a proxy before everything outside.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::Context;
use t4t_bee_dev::Faults;
use t4t_chain::contracts::Offering;
use t4t_crypto::{WalletKey, keyfile};
use t4t_faults::backend_proxy::BackendProxy;
use t4t_faults::rpc_proxy::RpcProxy;
use t4t_ledger::Ledger;
use t4t_runtime::Settings;
use t4t_runtime::config::{DataSettings, Flag, GatewaySettings, Key, keys};
use t4t_terminal::Steps;
use url::Url;

use super::super::folder::DevFolder;
use super::super::market::{offers_said, wait_for_offers};
use super::super::roles::set;
use super::super::world::{Wallets, World};
use super::process::{Recipe, RoleProcess};
use super::teller::{Place, Teller};
use super::weather;
use crate::args::DevArgs;

/// How long a provider has to deliver, in seconds: what fails is over soon. The shortest that is taken.
const DEADLINE: u64 = 60;

/// Jobs that the provider works on at a time.
const JOBS_AT_ONCE: u32 = 16;

/// Endpoints of the chain that each role asks.
pub(super) const ENDPOINTS: u64 = 2;

/// A market under faults.
#[derive(Debug)]
pub(super) struct ChaosMarket {
    pub(super) world: World,
    pub(super) offers: Vec<Offering>,
    pub(super) gateway: RoleProcess,
    pub(super) provider: RoleProcess,
    pub(super) gateway_url: String,
    pub(super) faults: Outside,
}

/// Everything outside that can go wrong.
#[derive(Debug)]
pub(super) struct Outside {
    /// The endpoints of the gateway, then those of the provider.
    pub(super) chain: Vec<(Place, RpcProxy)>,
    pub(super) backend: BackendProxy,
    pub(super) swarm: t4t_bee_dev::FaultHandle,
}

impl Outside {
    async fn start(world: &World, seed: u64, teller: &Teller) -> anyhow::Result<Self> {
        let mut chain = Vec::new();
        for (place, first) in [(Place::Gateway, 1), (Place::Provider, 1 + ENDPOINTS)] {
            for number in first..first + ENDPOINTS {
                let proxy = RpcProxy::start(world.chain(), seed.wrapping_add(number)).await?;
                let (teller, whom) = (teller.clone(), place.name());
                proxy.on_fault(move |fault| {
                    teller.fault(Place::Chain, &format!("{} to the {whom}", fault.words()));
                });
                chain.push((place, proxy));
            }
        }
        let backend = BackendProxy::start(&world.backend.url, seed).await?;
        let backend_teller = teller.clone();
        backend.on_fault(move |fault| {
            backend_teller.fault(Place::Backend, &format!("{} to the provider", fault.words()));
        });
        let swarm = world.bee.faults();
        swarm.reseed(seed);
        let swarm_teller = teller.clone();
        swarm.on_fault(move |what| swarm_teller.fault(Place::Swarm, what));
        Ok(Self { chain, backend, swarm })
    }

    fn urls_of(&self, of: Place) -> Vec<Url> {
        self.chain.iter().filter(|(place, _)| *place == of).map(|(_, proxy)| proxy.url()).collect()
    }

    /// From now on everything goes wrong now and then.
    pub(super) fn break_out(&self) {
        for (number, (_, proxy)) in self.chain.iter().enumerate() {
            proxy.mix(&weather::chain(number % 2 == 1));
        }
        self.backend.mix(&weather::backend());
        self.swarm.set(weather::swarm());
    }

    /// Nothing goes wrong from now on.
    pub(super) fn heal(&self) {
        self.chain.iter().for_each(|(_, proxy)| proxy.heal());
        self.backend.heal();
        self.swarm.set(Faults::realistic());
    }
}

impl ChaosMarket {
    /// Starts everything; nothing goes wrong yet.
    ///
    /// # Errors
    /// A part does not start; the error says which setting to change, or which log to read.
    pub(super) async fn start(
        args: &DevArgs,
        settings: &Settings,
        seed: u64,
        steps: &Steps,
        teller: &Teller,
    ) -> anyhow::Result<Self> {
        let folder = DevFolder::open(args, settings)?;
        let (world, wallets) = World::start(args, settings, folder, steps).await?;
        let faults = Outside::start(&world, seed, teller).await?;
        let starting = Starting { args, settings, world: &world, faults: &faults, teller };
        let selling = starting.provider(&wallets);
        let (provider, offers) = steps.step("provider", "registering and offering models", selling).await?;
        world.anvil.set_block_time(args.block_time).await?;
        let (gateway, gateway_url) =
            steps.step("gateway", "reading the directory", starting.gateway(&wallets)).await?;
        Ok(Self { world, offers, gateway, provider, gateway_url, faults })
    }

    /// The books with both databases.
    pub(super) fn ledger(&self) -> Ledger {
        let money = &self.world.parties;
        let database = |role: &str| self.world.folder.path().join(role).join(DataSettings::DATABASE);
        money.books().buyer(money.client, &database("gateway")).seller(money.provider, &database("provider"))
    }

    /// Stops everything, in the order in which nobody is left waiting.
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
        self.provider.stop().await;
        drop(self.faults);
        self.world.stop().await;
    }
}

/// What the roles are started with.
struct Starting<'a> {
    args: &'a DevArgs,
    settings: &'a Settings,
    world: &'a World,
    faults: &'a Outside,
    teller: &'a Teller,
}

impl Starting<'_> {
    async fn provider(&self, wallets: &Wallets) -> anyhow::Result<((RoleProcess, Vec<Offering>), String)> {
        let port = free_port()?;
        let mut more = vec![set(&keys::T4T_ADMIN_PORT, port), set(&keys::T4T_ADMIN_HOST, "127.0.0.1")];
        more.extend(self.unless_set(&keys::T4T_MAX_CONCURRENT_JOBS, JOBS_AT_ONCE));
        let chain = self.faults.urls_of(Place::Provider);
        let backend = (&self.world.backend, &self.faults.backend.url());
        let settings = self.world.roles(self.args, self.settings).provider(&chain, backend, more)?;
        let process = self.start(Place::Provider, "provider", settings, port, &wallets.provider).await?;
        let offers = wait_for_offers(&self.world.parties).await?;
        let said = offers_said(&offers, &self.world.parties).await?;
        Ok(((process, offers), said))
    }

    async fn gateway(&self, wallets: &Wallets) -> anyhow::Result<((RoleProcess, String), String)> {
        let port = match self.args.port {
            Some(port) => port,
            None if self.args.check => free_port()?,
            None => GatewaySettings::from_settings(self.settings)?.bind.port(),
        };
        let mut more = vec![set(&keys::T4T_GATEWAY_PORT, port)];
        more.extend(self.unless_set(&keys::T4T_DEFAULT_DEADLINE_SECONDS, DEADLINE));
        let chain = self.faults.urls_of(Place::Gateway);
        let settings = self.world.roles(self.args, self.settings).gateway(&chain, more)?;
        let process = self.start(Place::Gateway, "gateway", settings, port, &wallets.gateway).await?;
        let url = format!("http://127.0.0.1:{port}");
        let said = format!("listening at {url}");
        Ok(((process, url), said))
    }

    async fn start(
        &self,
        place: Place,
        role: &'static str,
        settings: Settings,
        port: u16,
        wallet: &WalletKey,
    ) -> anyhow::Result<RoleProcess> {
        let folder = self.world.folder.role(role)?;
        write_wallet(&folder, wallet)?;
        let recipe = Recipe { place, role, settings, port, log: folder.join("log") };
        RoleProcess::start(recipe, self.teller.clone()).await
    }

    fn unless_set(&self, key: &'static Key, value: impl std::fmt::Display) -> Option<Flag> {
        (!self.settings.is_set(key)).then(|| set(key, value))
    }
}

fn write_wallet(folder: &Path, wallet: &WalletKey) -> anyhow::Result<()> {
    keyfile::write_wallet_hex(&folder.join("wallet.key"), wallet).context("a role's wallet can't be written")
}

/// A port that was free a moment ago. A role keeps its port from life to life.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
