//! The inference runner as a process of its own.

use std::sync::Arc;

use t4t_api::{HttpClient, HttpClientConfig};
use t4t_clock::SystemClock;
use t4t_inference_runner::{Endpoints, Runner, RunnerConfig, RunnerDeps};
use t4t_runtime::config::{ProviderSettings, ServiceName, ServiceSettings, Settings};
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, StopSignal, process};

fn main() -> anyhow::Result<()> {
    process::begin();
    process::run(run())?
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::from_process(None, Vec::new())?;
    telemetry::init(&LogConfig::from_settings(&settings)?);
    let stop = StopSignal::on_signals()?;
    let provider = ProviderSettings::from_settings(&settings)?;
    let services = ServiceSettings::from_settings(&settings)?;
    let (token, peer) = (services.runner_token()?, services.dispatcher_of_runner()?);
    if services.knows_token() {
        tracing::warn!(
            "T4T_SERVICE_TOKEN opens the wallet's service, and a runner has no use for it: take it away here"
        );
    }
    let dispatcher = HttpClientConfig { service: peer.service.as_str(), url: peer.url, token: peer.token };
    let deps = RunnerDeps {
        clock: SystemClock::shared(),
        dispatcher: Some(Arc::new(HttpClient::new(dispatcher)?)),
        readiness: Readiness::new(env!("CARGO_PKG_VERSION")),
    };
    let config = RunnerConfig::from_settings(&provider, Endpoints::load(&provider.endpoints_file)?);
    let mut running = Runner::start(config, deps).await?;
    running.serve_http(services.bind(ServiceName::Runner), token)?;
    running.register(provider.runner_name, services.url(ServiceName::Runner))?;
    stop.stopped().await;
    running.stop().await;
    Ok(())
}
