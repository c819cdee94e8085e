//! Settlement as a process of its own: the only one that holds the wallet.

use anyhow::Context;
use t4t_api::Guard;
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_runtime::config::{
    ChainSettings, DataSettings, ServiceName, ServiceSettings, Settings, WalletSettings,
};
use t4t_runtime::http::{ServeConfig, serve};
use t4t_runtime::lock::FolderLock;
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, StopSignal, process, wallet};
use t4t_settlement::{SettlementConfig, SettlementDeps, SettlementService, settlement_routes};
use t4t_store::Store;

fn main() -> anyhow::Result<()> {
    process::begin();
    process::run(run())?
}

async fn run() -> anyhow::Result<()> {
    let mut settings = Settings::from_process(None, Vec::new())?;
    telemetry::init(&LogConfig::from_settings(&settings)?);
    let stop = StopSignal::on_signals()?;
    let services = ServiceSettings::from_settings(&settings)?;
    let chain = ChainSettings::from_settings(&settings)?;
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let folder = DataSettings::from_settings(&settings)?.folder;
    let _lock = FolderLock::take(&folder)?;
    let key = WalletSettings::from_settings(&mut settings)?;
    let origin = key.origin();
    let clock = SystemClock::shared();
    let deps = SettlementDeps {
        rpc: Rpc::new(RpcConfig::new(chain.rpc_urls), clock.clone())?,
        store: Store::open(&folder.join("settlement.db")).await.context("the database can't be opened")?,
        wallet: tokio::task::spawn_blocking(move || wallet::open(&key)).await??,
        clock,
    };
    let config = SettlementConfig::new(chain.chain_id, contracts);
    let starting = Box::pin(SettlementService::start(config, deps)).await;
    let running = starting.with_context(|| format!("settlement does not start with the key of {origin}"))?;
    let (settlement, readiness) = (running.settlement.clone(), Readiness::new(env!("CARGO_PKG_VERSION")));
    let name = ServiceName::Settlement;
    let guarded = services.token.is_some();
    let guard = Guard::new(name.as_str(), services.token.clone());
    let server =
        serve(ServeConfig { name: name.as_str(), bind: services.bind(name), guarded }, move |config| {
            readiness.routes(config);
            settlement_routes(config, &guard, &settlement);
        })?;
    stop.stopped().await;
    server.stop().await;
    running.stop().await;
    Ok(())
}
