//! What both roles stand on: folder, database, chain, wallet, Swarm.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use t4t_api::settlement::GetAccount;
use t4t_api::{RegistryWatcher, Settlement};
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::{SharedClock, SystemClock};
use t4t_crypto::{SealingKey, WalletKey};
use t4t_job_dispatcher::postage::Postage;
use t4t_job_dispatcher::{Courier, CourierConfig};
use t4t_registry_watcher::{RegistryWatcherService, WatcherConfig, WatcherDeps};
use t4t_runtime::config::{ChainSettings, DataSettings, SwarmSettings};
use t4t_runtime::health::Component;
use t4t_runtime::lock::FolderLock;
use t4t_runtime::{Readiness, Settings, wallet};
use t4t_settlement::{SettlementConfig, SettlementDeps, SettlementService};
use t4t_store::Store;
use t4t_types::Address;
use tokio::task::JoinHandle;

use crate::commands::jobs::DATABASE;

/// How long the start waits for postage; a purchase takes minutes and goes on by itself.
const POSTAGE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the wallet is looked at.
const WALLET_PAUSE: Duration = Duration::from_secs(60);

/// How many times closer the chain is looked at while a job is about to appear.
const CLOSE_LOOKS: u32 = 10;

/// What both roles stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) clock: SharedClock,
    pub(super) store: Store,
    pub(super) readiness: Readiness,
    watcher: t4t_registry_watcher::Running,
    settlement: t4t_settlement::Running,
    postage: Postage,
    wallet_watch: JoinHandle<()>,
    sealing_key_file: std::path::PathBuf,
    _lock: FolderLock,
}

impl Ground {
    /// Starts it for a wallet.
    pub(super) async fn start(settings: &Settings, wallet: WalletKey) -> anyhow::Result<Self> {
        let data = DataSettings::from_settings(settings)?;
        let chain = ChainSettings::from_settings(settings)?;
        let swarm = SwarmSettings::from_settings(settings)?;
        let lock = FolderLock::take(&data.folder)?;
        let clock = SystemClock::shared();
        let readiness = Readiness::new(env!("CARGO_PKG_VERSION"));
        let store = Store::open(&data.file(DATABASE)).await.context("the database can't be opened")?;
        let (settlement, watcher) = start_chain_services(&chain, &store, &clock, wallet).await?;
        let state_file = data.file("postage-batch.json");
        let component = readiness.component("postage");
        let postage = Postage::start(&swarm, state_file, Arc::clone(&clock), component, POSTAGE_PATIENCE);
        let component = readiness.component("wallet");
        let wallet_watch = watch_wallet(Arc::clone(&settlement.settlement), Arc::clone(&clock), component);
        Ok(Self {
            postage: postage.await.context("Swarm can't be used")?,
            clock,
            store,
            readiness,
            watcher,
            wallet_watch: tokio::spawn(wallet_watch),
            settlement,
            sealing_key_file: data.sealing_key_file,
            _lock: lock,
        })
    }

    pub(super) fn wallet(&self) -> Address {
        self.settlement.wallet()
    }

    pub(super) fn watcher(&self) -> Arc<dyn RegistryWatcher> {
        self.watcher.watcher()
    }

    pub(super) fn settlement(&self) -> Arc<dyn Settlement> {
        Arc::clone(&self.settlement.settlement)
    }

    /// The way messages and payloads travel.
    pub(super) async fn courier(&self) -> Courier {
        let config = CourierConfig { target_bits: None };
        Courier::new(self.postage.keeper(), self.settlement(), Arc::clone(&self.clock), config).await
    }

    /// The key that payloads are sealed to; made where there is none.
    pub(super) async fn sealing_key(&self) -> anyhow::Result<SealingKey> {
        let path = self.sealing_key_file.clone();
        let opened = tokio::task::spawn_blocking(move || wallet::open_or_make_sealing_key(&path)).await?;
        Ok(opened?)
    }

    /// Stops it; whatever stands on it has been stopped before.
    pub(super) async fn stop(self) {
        self.wallet_watch.abort();
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
) -> anyhow::Result<(t4t_settlement::Running, t4t_registry_watcher::Running)> {
    let rpc = Rpc::new(RpcConfig::new(chain.rpc_urls.clone()), Arc::clone(clock))?;
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let settlement = SettlementService::start(
        SettlementConfig::new(chain.chain_id, contracts),
        SettlementDeps { rpc: rpc.clone(), store: store.clone(), wallet, clock: Arc::clone(clock) },
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

/// Says while the wallet is too empty for anything.
async fn watch_wallet(settlement: Arc<dyn Settlement>, clock: SharedClock, component: Component) {
    loop {
        match settlement.ask(GetAccount {}).await {
            Ok(account) if account.xdai_wei == 0 => component.not_ready(
                format!("the wallet {} holds no xDAI for gas", account.address),
                "send xDAI to it on Gnosis Chain",
            ),
            Ok(account) if account.xbzz.is_zero() => component.not_ready(
                format!("the wallet {} holds no xBZZ for payments", account.address),
                "send xBZZ to it on Gnosis Chain",
            ),
            Ok(_) => component.ready(),
            Err(error) => component.not_ready(error.to_string(), "look at the chain's endpoints"),
        }
        clock.sleep(WALLET_PAUSE).await;
    }
}
