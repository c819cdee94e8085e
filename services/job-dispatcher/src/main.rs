//! The job dispatcher as a process of its own; `T4T_MODE` says which side.

mod apart;

use t4t_runtime::config::{Settings, keys};
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{StopSignal, process};

use crate::apart::Apart;

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
    let apart = Box::pin(Apart::start(&settings)).await?;
    if mode == "gateway" {
        Box::pin(apart.buy(&settings, &stop)).await
    } else {
        Box::pin(apart.sell(&settings, &stop)).await
    }
}
