//! What processes stand on: a chain with the contracts, Swarm nodes, folders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use t4t_chain::contracts::JobStatus;
use t4t_types::{Address, Xbzz};
use tempfile::TempDir;
use url::Url;

use super::{App, Process, Recipe};
use crate::anvil::{Anvil, AnvilConfig, Market, dev_key};
use crate::eventually;
use crate::ledger::Ledger;
use crate::secrets::Secrets;

/// How long a process may take for what is asked of it; a busy machine needs some seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Swarm nodes: the first is the gateway's, the others the providers' in their order.
const NODES: usize = 4;

/// Wallets that get xBZZ: enough for a gateway, providers and attackers.
const FUNDED: u32 = 5;

/// A world to be made.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The `t4t` program; the services' programs lie beside it.
    pub t4t: PathBuf,
    /// The chain.
    pub anvil: AnvilConfig,
    /// The Swarm nodes.
    pub bee: BeeDevConfig,
}

impl WorldConfig {
    /// A chain that makes a block for each transaction at once, and Swarm nodes that behave.
    pub fn new(t4t: impl Into<PathBuf>) -> Self {
        let bee = BeeDevConfig { nodes: NODES, faults: Faults::realistic(), ..BeeDevConfig::default() };
        Self { t4t: t4t.into(), anvil: AnvilConfig::default(), bee }
    }
}

/// A chain with the contracts, Swarm nodes and a folder for processes.
#[derive(Debug)]
pub struct World {
    /// The chain.
    pub anvil: Anvil,
    /// The contracts on it.
    pub market: Market,
    /// The Swarm nodes.
    pub bee: BeeDev,
    /// The apps.
    pub app: App,
    t4t: PathBuf,
    home: TempDir,
}

impl World {
    /// Makes a world.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(config: WorldConfig) -> anyhow::Result<Self> {
        let anvil = Anvil::start(config.anvil).await?;
        let wallets: Vec<Address> = (0..FUNDED).map(|number| dev_key(number).address()).collect();
        let market = Market::deploy_for(&anvil, &wallets).await?;
        let bee = BeeDev::start(config.bee).await?;
        Ok(Self { anvil, market, bee, app: App::new()?, t4t: config.t4t, home: tempfile::tempdir()? })
    }

    /// Where processes keep their folders and logs.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The `t4t` program.
    pub fn t4t(&self) -> &Path {
        &self.t4t
    }

    /// The address of a Swarm node.
    ///
    /// # Errors
    /// There is no such node.
    pub fn node(&self, number: usize) -> anyhow::Result<Url> {
        Ok(self.bee.urls().get(number).context("there are not so many Swarm nodes")?.parse()?)
    }

    /// Starts a process of this world.
    ///
    /// # Errors
    /// The program is not there.
    pub fn spawn(&self, recipe: Recipe) -> anyhow::Result<Process> {
        Process::start(recipe, self.home())
    }

    /// Points a process at this world's chain and at a Swarm node.
    ///
    /// # Errors
    /// There is no such node.
    pub fn connect(&self, recipe: &mut Recipe, node: usize) -> anyhow::Result<()> {
        let addresses = self.market.addresses;
        recipe.set("HOME", self.home().display());
        recipe.set("GNOSIS_RPC_URL", self.anvil.rpc_url());
        recipe.set("REGISTRY_ADDRESS", addresses.registry);
        recipe.set("ESCROW_ADDRESS", addresses.escrow);
        recipe.set("XBZZ_ADDRESS", addresses.token);
        recipe.set("T4T_CHAIN_POLL_MS", 100);
        recipe.set("BEE_API_URL", self.node(node)?);
        recipe.set("LOG_LEVEL", "info,t4t_job_dispatcher=debug,t4t_settlement=debug");
        // A list of models that was taken too early is taken again soon.
        recipe.set("T4T_MODELS_CACHE_TTL_SECONDS", 0);
        Ok(())
    }

    /// The books of this world's money.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.anvil.rpc().clone(), self.market.addresses)
    }

    /// Whether each key is in its own file alone, once a gateway and a provider have traded: not in a log, a database,
    /// or any other file of the world.
    ///
    /// # Errors
    /// Names what was found and where, but not the key; or there are fewer keys than two roles have.
    pub fn keeps_its_keys(&self) -> anyhow::Result<()> {
        let keys = Secrets::new().keys_below(self.home())?;
        ensure!(keys.count() >= 4, "there are {} keys, and two roles have two each", keys.count());
        keys.stay_in_their_files()
    }

    /// Waits until these wallets sell something, by the chain.
    ///
    /// # Errors
    /// They do not.
    pub async fn on_offer(&self, providers: &[Address]) -> anyhow::Result<()> {
        let registry = self.market.addresses.registry();
        let rpc = self.anvil.rpc();
        eventually(PATIENCE, "offers on the chain", async || {
            for provider in providers {
                let record = registry.provider(rpc, *provider).await.ok()?;
                let offers = registry.offerings(rpc, *provider).await.ok()?;
                if offers.is_empty() || record.max_concurrent_jobs == 0 {
                    return None;
                }
            }
            Some(())
        })
        .await
    }

    /// Waits until no job's money is in escrow any more.
    ///
    /// # Errors
    /// It still is; the error lists the jobs.
    pub async fn settled(&self, limit: Duration) -> anyhow::Result<()> {
        let escrow = self.market.addresses.escrow;
        let ended = eventually(limit, "an empty escrow", async || {
            let left = self.market.xbzz_of(escrow).await.ok()?;
            (left == Xbzz::ZERO && self.open_jobs().await.ok()? == 0).then_some(())
        });
        match ended.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.ledger().table().await?)),
        }
    }

    async fn open_jobs(&self) -> anyhow::Result<usize> {
        let jobs = self.ledger().jobs().await?;
        Ok(jobs.iter().filter(|job| matches!(job.status, JobStatus::Pending | JobStatus::Acked)).count())
    }
}
