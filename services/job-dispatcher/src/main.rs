//! The job dispatcher as a process of its own; `T4T_MODE` says which side.

mod apart;

use std::sync::Arc;

use t4t_api::{Buying, Guard, Late, Selling};
use t4t_job_dispatcher::{buying, selling};
use t4t_runtime::config::{ServiceName, ServiceSettings, Settings, keys};
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Readiness, StopSignal, process};

use crate::apart::{Apart, listen};

const NAME: &str = ServiceName::Dispatcher.as_str();

fn main() -> anyhow::Result<()> {
    process::begin();
    process::run(run())?
}

async fn run() -> anyhow::Result<()> {
    let settings = Settings::from_process(None, Vec::new())?;
    telemetry::init(&LogConfig::from_settings(&settings)?);
    let stop = StopSignal::on_signals()?;
    let mode: String =
        settings.required(&keys::T4T_MODE, "the dispatcher must know whether it buys or sells")?;
    let services = ServiceSettings::from_settings(&settings)?;
    let guard = Guard::new(NAME, services.token()?);
    let readiness = Readiness::new(env!("CARGO_PKG_VERSION"));
    // Before it listens: a board without components is ready.
    let component = readiness.component("job-dispatcher");
    let starting = stop.unless_stopped(Box::pin(Apart::start(&settings, &readiness)));
    if mode == "gateway" {
        let front = Late::new("job-dispatcher service");
        let service: Arc<dyn Buying> = Arc::new(front.clone());
        let server = listen(&services, readiness.clone(), move |config| {
            buying::routes(config, &guard, &service);
        })?;
        if let Some(apart) = starting.await {
            Box::pin(apart?.buy(&settings, (&front, &component), &stop)).await?;
        }
        server.stop().await;
    } else {
        let front = Late::new("job-dispatcher service");
        let service: Arc<dyn Selling> = Arc::new(front.clone());
        let runners = Guard::new(NAME, services.runner_token()?);
        let server = listen(&services, readiness.clone(), move |config| {
            selling::routes(config, &guard, &runners, &service);
        })?;
        if let Some(apart) = starting.await {
            Box::pin(apart?.sell(&settings, (&front, &component), &stop)).await?;
        }
        server.stop().await;
    }
    Ok(())
}
