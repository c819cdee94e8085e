//! What both roles stand on: folder, database, chain, wallet, Swarm.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use t4t_api::{RegistryWatcher, Settlement};
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::{SharedClock, SystemClock};
use t4t_crypto::{SealingKey, WalletKey};
use t4t_job_dispatcher::carriage::postage::Postage;
use t4t_job_dispatcher::{Courier, CourierConfig, SwarmCourier};
use t4t_registry_watcher::{RegistryWatcherService, WatcherConfig, WatcherDeps, watch_chain};
use t4t_runtime::config::{ChainSettings, DataSettings, SwarmSettings};
use t4t_runtime::health::Component;
use t4t_runtime::lock::FolderLock;
use t4t_runtime::recovery::TakenUp;
use t4t_runtime::{Readiness, Settings, wallet};
use t4t_settlement::{SettlementConfig, SettlementDeps, SettlementService, StartError, watch_wallet};
use t4t_store::{Market, Store};
use t4t_types::Address;
use tokio::task::JoinHandle;

/// How long the start waits for postage; a purchase takes minutes and goes on by itself.
const POSTAGE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the database is looked at.
const DATABASE_PAUSE: Duration = Duration::from_secs(15);

/// How many times closer the chain is looked at while a job is about to appear.
const CLOSE_LOOKS: u32 = 10;

/// Who stands on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Pays for jobs.
    Gateway,
    /// Is paid for them.
    Provider,
}

/// What both roles stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) clock: SharedClock,
    pub(crate) store: Store,
    pub(crate) readiness: Readiness,
    watcher: t4t_registry_watcher::Running,
    settlement: t4t_settlement::Running,
    postage: Postage,
    courier_config: CourierConfig,
    watches: Vec<JoinHandle<()>>,
    sealing_key_file: std::path::PathBuf,
    _lock: FolderLock,
}

impl Ground {
    /// Starts it for a wallet; waits for a chain that can't be reached, and says so on the board.
    pub(crate) async fn start(
        settings: &Settings,
        wallet: WalletKey,
        readiness: Readiness,
        role: Role,
    ) -> anyhow::Result<Self> {
        let data = DataSettings::from_settings(settings)?;
        let chain = ChainSettings::from_settings(settings)?;
        let swarm = SwarmSettings::from_settings(settings)?;
        let lock = FolderLock::take(&data.folder)?;
        let clock = SystemClock::shared();
        let market = Market { chain_id: chain.chain_id, escrow: chain.escrow };
        let store = Store::open_for(&data.file(DataSettings::DATABASE), market).await;
        let store = store.context("the database can't be opened")?;
        let on_chain = readiness.component("chain");
        let (settlement, watcher) =
            start_chain_services(&chain, &store, &clock, wallet, role, &on_chain).await?;
        let state_file = data.file("postage-batch.json");
        let postage = Postage::start(&swarm, state_file, Arc::clone(&clock), &readiness, POSTAGE_PATIENCE);
        let postage = postage.await.context("Swarm can't be used")?;
        let component = readiness.component("wallet");
        let wallet_watch = watch_wallet(
            Arc::clone(&settlement.settlement),
            Arc::clone(&clock),
            component,
            role == Role::Gateway,
        );
        let component = readiness.component("database");
        let database_watch = watch_database(store.clone(), Arc::clone(&clock), component);
        let chain_watch = watch_chain(watcher.watcher(), watcher.synced(), Arc::clone(&clock), on_chain);
        Ok(Self {
            postage,
            courier_config: CourierConfig::from(&swarm),
            clock,
            store,
            readiness,
            watcher,
            watches: vec![
                tokio::spawn(wallet_watch),
                tokio::spawn(database_watch),
                tokio::spawn(chain_watch),
            ],
            settlement,
            sealing_key_file: data.sealing_key_file,
            _lock: lock,
        })
    }

    pub(crate) fn wallet(&self) -> Address {
        self.settlement.wallet()
    }

    /// What the last run's transactions needed.
    pub(crate) fn taken_up(&self) -> TakenUp {
        self.settlement.recovered().into()
    }

    pub(crate) fn watcher(&self) -> Arc<dyn RegistryWatcher> {
        self.watcher.watcher()
    }

    pub(crate) fn settlement(&self) -> Arc<dyn Settlement> {
        Arc::clone(&self.settlement.settlement)
    }

    /// The way messages and payloads travel.
    pub(crate) async fn courier(&self) -> Arc<dyn Courier> {
        let clock = Arc::clone(&self.clock);
        let keeper = self.postage.keeper();
        Arc::new(SwarmCourier::new(keeper, self.settlement(), clock, self.courier_config).await)
    }

    /// The key that payloads are sealed to; made where there is none.
    pub(crate) async fn sealing_key(&self) -> anyhow::Result<SealingKey> {
        let path = self.sealing_key_file.clone();
        let opened = tokio::task::spawn_blocking(move || wallet::open_or_make_sealing_key(&path)).await?;
        Ok(opened?)
    }

    /// Stops it; whatever stands on it has been stopped before.
    pub(crate) async fn stop(self) {
        for watch in self.watches {
            watch.abort();
        }
        self.postage.stop();
        self.watcher.stop().await;
        self.settlement.stop().await;
        self.store.close().await;
    }
}

/// The two services that speak with the chain.
async fn start_chain_services(
    chain: &ChainSettings,
    store: &Store,
    clock: &SharedClock,
    wallet: WalletKey,
    role: Role,
    on_chain: &Component,
) -> anyhow::Result<(t4t_settlement::Running, t4t_registry_watcher::Running)> {
    let rpc = Rpc::new(RpcConfig::new(chain.rpc_urls.clone()), Arc::clone(clock))?;
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let waiting = |error: &StartError| {
        on_chain.not_ready(error.story(), "check GNOSIS_RPC_URL, or name more endpoints there");
    };
    let settlement = SettlementService::start_patiently(
        SettlementConfig {
            approves_early: role == Role::Gateway,
            ..SettlementConfig::new(chain.chain_id, contracts)
        },
        SettlementDeps { rpc: rpc.clone(), store: store.clone(), wallet, clock: Arc::clone(clock) },
        waiting,
    );
    let settlement = Box::pin(settlement).await.context("settlement does not start")?;
    let watcher = RegistryWatcherService::start(
        WatcherConfig {
            poll_idle: chain.poll_interval,
            poll_close: chain.poll_interval / CLOSE_LOOKS,
            ..WatcherConfig::new(contracts)
        },
        WatcherDeps { rpc, store: store.clone(), clock: Arc::clone(clock) },
    );
    let watcher = Box::pin(watcher).await.context("the registry watcher does not start")?;
    Ok((settlement, watcher))
}

/// Says while nothing can be stored, and so no new work is taken on.
async fn watch_database(store: Store, clock: SharedClock, component: Component) {
    loop {
        match store.may_take_work().await {
            Ok(()) => component.ready(),
            Err(error) => {
                component.not_ready(error.to_string(), "look at the data folder's disk; the rest follows")
            }
        }
        clock.sleep(DATABASE_PAUSE).await;
    }
}
