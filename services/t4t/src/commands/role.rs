//! `t4t gateway` and `t4t provider`: a role in one process, until it is told to stop.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use t4t_clock::SystemClock;
use t4t_crypto::WalletKey;
use t4t_runtime::config::{GatewaySettings, ProviderSettings, ServiceSettings, WalletSettings};
use t4t_runtime::http::{ServeConfig, serve};
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, Settings, StopSignal, process, wallet};
use t4t_settlement::StartError;

use t4t_roles::{Gateway, Provider};
use t4t_terminal::output;

/// How often it is looked whether a role is ready.
const READY_POLL: Duration = Duration::from_millis(200);

/// Runs a gateway.
pub(crate) fn gateway(settings: Settings) -> anyhow::Result<ExitCode> {
    // Mistakes are told before anything is asked for.
    GatewaySettings::from_settings(&settings)?;
    run(settings, async |settings, wallet, stop| {
        let address = wallet.address();
        let starting = stop.unless_stopped(Box::pin(Gateway::start(settings, wallet)));
        let Some(gateway) = starting.await else { return Ok(()) };
        let gateway = gateway?;
        output::line(format!("gateway started: base URL {}/v1, wallet {address}", gateway.url()))?;
        let telling = tokio::spawn(tell_ready("gateway", gateway.readiness()));
        stop.stopped().await;
        telling.abort();
        gateway.stop().await;
        Ok(())
    })
}

/// Runs a provider.
pub(crate) fn provider(settings: Settings) -> anyhow::Result<ExitCode> {
    ProviderSettings::from_settings(&settings)?;
    run(settings, async |settings, wallet, stop| {
        let address = wallet.address();
        let bind = ServiceSettings::from_settings(&settings)?.admin_bind();
        let readiness = Readiness::new(env!("CARGO_PKG_VERSION"));
        let shown = readiness.clone();
        // Health is for everyone to see; nothing can be done there.
        let config = ServeConfig { name: "the provider's health", bind, guarded: true };
        let health = serve(config, move |routes| shown.routes(routes))?;
        tracing::info!(url = health.url(), "health and readiness are at /health and /ready");
        let starting = stop.unless_stopped(Box::pin(Provider::start_with(settings, wallet, readiness)));
        let Some(provider) = starting.await else { return Ok(()) };
        let provider = provider?;
        output::line(format!("provider started: wallet {address}, readiness at {}/ready", health.url()))?;
        stop.stopped().await;
        health.stop().await;
        provider.stop().await;
        Ok(())
    })
}

/// Says once that a role is ready, when it is: what is missing until then, the log and `/ready` say.
async fn tell_ready(role: &str, readiness: Readiness) {
    let clock = SystemClock::shared();
    while !readiness.is_ready() {
        clock.sleep(READY_POLL).await;
    }
    if let Err(error) = output::line(format!("{role} ready")) {
        tracing::warn!(%error, "nobody reads what is printed");
    }
}

fn run(
    mut settings: Settings,
    role: impl AsyncFnOnce(Settings, WalletKey, &StopSignal) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    telemetry::init(&LogConfig::from_settings(&settings)?);
    for key in settings.without_effect() {
        tracing::warn!("{} has no effect: {}", key.name, key.doc);
    }
    process::run(async move {
        let stop = StopSignal::on_signals().context("signals can't be listened for")?;
        let key_settings = WalletSettings::from_settings(&mut settings)?;
        let origin = key_settings.origin();
        let key = tokio::task::spawn_blocking(move || wallet::open(&key_settings)).await??;
        role(settings, key, &stop).await.map_err(|error| name_key(error, &origin))
    })??;
    Ok(ExitCode::SUCCESS)
}

/// Says where a key came from that is not the data folder's own.
fn name_key(error: anyhow::Error, origin: &str) -> anyhow::Error {
    match error.downcast_ref() {
        Some(StartError::OtherWallet { .. }) => {
            error.context(format!("the key of {origin} can't be used here"))
        }
        _ => error,
    }
}
