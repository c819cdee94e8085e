//! The gateway's edge as a process of its own.

use std::sync::Arc;

use t4t_api::{HttpClient, HttpClientConfig};
use t4t_clock::SystemClock;
use t4t_openai_api::{OpenAiApi, OpenAiConfig, OpenAiDeps};
use t4t_runtime::config::{GatewaySettings, ServiceName, ServiceSettings, Settings};
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
    let services = ServiceSettings::from_settings(&settings)?;
    let reach = |name| {
        let peer = services.peer(name)?;
        let config = HttpClientConfig { service: peer.service.as_str(), url: peer.url, token: peer.token };
        anyhow::Ok(Arc::new(HttpClient::new(config)?))
    };
    let deps = OpenAiDeps {
        buying: reach(ServiceName::Dispatcher)?,
        watcher: reach(ServiceName::Watcher)?,
        readiness: Readiness::new(env!("CARGO_PKG_VERSION")),
        clock: SystemClock::shared(),
    };
    let config = OpenAiConfig::from(&GatewaySettings::from_settings(&settings)?);
    let mut running = OpenAiApi::start(config, deps)?;
    tokio::select! {
        () = stop.stopped() => {}
        ended = running.ended() => ended?,
    }
    running.stop().await;
    Ok(())
}
