//! Settlement as a process of its own: the only one that holds the wallet.

use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use t4t_api::{Guard, Late, Settlement};
use t4t_chain::{ContractAddresses, Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_runtime::config::{
    ChainSettings, DataSettings, ServiceName, ServiceSettings, Settings, WalletSettings, keys,
};
use t4t_runtime::http::{RunningServer, ServeConfig, ServeError, serve};
use t4t_runtime::lock::FolderLock;
use t4t_runtime::recovery::TakenUp;
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, StopSignal, process, wallet};
use t4t_settlement::{
    SettlementConfig, SettlementDeps, SettlementService, StartError, settlement_routes, watch_wallet,
};
use t4t_store::{Market, Store};

fn main() -> anyhow::Result<()> {
    process::begin();
    process::run(run())?
}

async fn run() -> anyhow::Result<()> {
    let mut settings = Settings::from_process(None, Vec::new())?;
    let log = LogConfig::from_settings(&settings)?;
    telemetry::init(&log);
    let stop = StopSignal::on_signals()?;
    let services = ServiceSettings::from_settings(&settings)?;
    let chain = ChainSettings::from_settings(&settings)?;
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let folder = DataSettings::from_settings(&settings)?.folder;
    let _lock = FolderLock::take(&folder)?;
    let key = WalletSettings::from_settings(&mut settings)?;
    let origin = key.origin();
    let (wallet, token) = secrets(key, &services).await?;
    let market = Market { chain_id: chain.chain_id, escrow: chain.escrow };
    let database = folder.join("settlement.db");
    let store = Store::open_for(&database, market);
    let clock = SystemClock::shared();
    let deps = SettlementDeps {
        rpc: Rpc::new(RpcConfig::new(chain.rpc_urls), clock.clone())?,
        store: store.await.context("the database can't be opened")?,
        wallet,
        clock: clock.clone(),
    };
    let buys = settings.text(&keys::T4T_MODE) == Some("gateway");
    let config =
        SettlementConfig { approves_early: buys, ..SettlementConfig::new(chain.chain_id, contracts) };
    let readiness = Readiness::new(env!("CARGO_PKG_VERSION"));
    let component = readiness.component("chain");
    let front = Late::new("settlement service");
    let server = listen(&services, token, readiness, Arc::new(front.clone()))?;
    let waiting = |error: &StartError| {
        component.not_ready(error.story(), "check GNOSIS_RPC_URL, or name more endpoints there");
    };
    let starting = SettlementService::start_patiently(config, deps, waiting);
    let Some(running) = stop.unless_stopped(Box::pin(starting)).await else { return Ok(()) };
    let running = running.with_context(|| format!("settlement does not start with the key of {origin}"))?;
    TakenUp::from(running.recovered()).tell(log.format);
    front.arrive(Arc::clone(&running.settlement));
    component.ready();
    // Said in the log and not at /ready: whoever asks is told what is missing.
    let wallet = Readiness::new(env!("CARGO_PKG_VERSION")).component("wallet");
    tokio::spawn(watch_wallet(Arc::clone(&running.settlement), clock, wallet, buys));
    stop.stopped().await;
    server.stop().await;
    running.stop().await;
    Ok(())
}

/// The wallet's key and the token that guards the service.
async fn secrets(
    key: WalletSettings,
    services: &ServiceSettings,
) -> anyhow::Result<(WalletKey, SecretString)> {
    let opened = tokio::task::spawn_blocking(move || wallet::open(&key)).await?;
    match (opened, services.token()) {
        // Both mistakes are told at once.
        (Err(wallet), Err(token)) => Err(anyhow::Error::from(wallet).context(token)),
        (opened, token) => Ok((opened?, token?)),
    }
}

fn listen(
    services: &ServiceSettings,
    token: SecretString,
    readiness: Readiness,
    settlement: Arc<dyn Settlement>,
) -> Result<RunningServer, ServeError> {
    let name = ServiceName::Settlement;
    let guard = Guard::new(name.as_str(), token);
    serve(ServeConfig { name: name.as_str(), bind: services.bind(name), guarded: true }, move |config| {
        readiness.routes(config);
        settlement_routes(config, &guard, &settlement);
    })
}
