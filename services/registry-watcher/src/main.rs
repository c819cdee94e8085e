//! The registry watcher as a process of its own.

use anyhow::Context;
use t4t_api::Guard;
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_registry_watcher::{RegistryWatcherService, WatcherConfig, WatcherDeps, routes, watch_chain};
use t4t_runtime::config::{ChainSettings, DataSettings, ServiceName, ServiceSettings, Settings};
use t4t_runtime::http::{ServeConfig, serve};
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, StopSignal, process};
use t4t_store::{Market, Store};

fn main() -> anyhow::Result<()> {
    process::begin();
    process::run(run())?
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::from_process(None, Vec::new())?;
    telemetry::init(&LogConfig::from_settings(&settings)?);
    let stop = StopSignal::on_signals()?;
    let services = ServiceSettings::from_settings(&settings)?;
    let token = services.token()?;
    let chain = ChainSettings::from_settings(&settings)?;
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let market = Market { chain_id: chain.chain_id, escrow: chain.escrow };
    let database = DataSettings::from_settings(&settings)?.file("watcher.db");
    let clock = SystemClock::shared();
    let deps = WatcherDeps {
        rpc: Rpc::new(RpcConfig::new(chain.rpc_urls), clock.clone())?,
        store: Store::open_for(&database, market).await.context("the database can't be opened")?,
        clock: clock.clone(),
    };
    let config = WatcherConfig { poll_idle: chain.poll_interval, ..WatcherConfig::new(contracts) };
    let running = RegistryWatcherService::start(config, deps).await?;
    let (watcher, readiness) = (running.watcher(), Readiness::new(env!("CARGO_PKG_VERSION")));
    // Said in the log and not at /ready: while the chain is away, what is known is still to be had here.
    let chain = Readiness::new(env!("CARGO_PKG_VERSION")).component("chain");
    tokio::spawn(watch_chain(running.watcher(), running.synced(), clock, chain));
    let name = ServiceName::Watcher;
    let guard = Guard::new(name.as_str(), token);
    let server = serve(
        ServeConfig { name: name.as_str(), bind: services.bind(name), guarded: true },
        move |config| {
            readiness.routes(config);
            routes(config, &guard, &watcher);
        },
    )?;
    stop.stopped().await;
    server.stop().await;
    running.stop().await;
    Ok(())
}
