//! `t4t dev`: the whole market on one machine, also while everything outside goes wrong (`--chaos`).
//!
//! A real EVM (anvil) with the contracts deployed and wallets funded, Bee-compatible nodes, one provider and one
//! gateway. Every run starts a fresh market: the chain and the nodes live in memory, so databases of an earlier run
//! would speak of jobs that no longer exist.

mod anvil;
mod app;
mod args;
mod backend;
mod chaos;
mod check;
mod demo;
mod folder;
mod market;
mod money;
mod programs;
mod roles;
mod summary;
mod tools;
mod world;

use std::process::ExitCode;

use t4t_runtime::config::keys;
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Settings, StopSignal, process};
use t4t_terminal::Steps;
use t4t_terminal::output;

pub use self::args::DevArgs;
use self::folder::DevFolder;
use self::market::Market;

/// Runs `t4t dev`.
///
/// # Errors
/// A part does not start; the error says which setting to change.
pub fn run(args: DevArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let mut log = LogConfig::from_settings(&settings)?;
    if !settings.is_set(&keys::LOG_LEVEL) {
        // What the parts say about themselves would bury what the command says.
        log.level = "warn".into();
    }
    telemetry::init(&log);
    process::run(async move {
        let stop = StopSignal::on_signals()?;
        if args.chaos {
            return Box::pin(chaos::run(&args, &settings, &stop)).await;
        }
        match stop.unless_stopped(Box::pin(start(&args, &settings))).await {
            Some(started) => Box::pin(serve(&args, started?, &stop)).await,
            None => Ok(ExitCode::FAILURE),
        }
    })?
}

struct Started {
    market: Market,
    steps: Steps,
}

async fn start(args: &DevArgs, settings: &Settings) -> anyhow::Result<Started> {
    let steps = Steps::begin();
    let folder = DevFolder::open(args, settings)?;
    let market = Box::pin(Market::start(args, settings, folder, &steps)).await?;
    Ok(Started { market, steps })
}

async fn serve(args: &DevArgs, started: Started, stop: &StopSignal) -> anyhow::Result<ExitCode> {
    let Started { market, steps } = started;
    let status = if args.check {
        Box::pin(check(args, &market, &steps, stop)).await
    } else {
        summary::show(&(&market, steps.elapsed_ms()).into(), args.json)?;
        stop.stopped().await;
        Ok(ExitCode::SUCCESS)
    };
    market.stop().await;
    status
}

async fn check(
    args: &DevArgs,
    market: &Market,
    steps: &Steps,
    stop: &StopSignal,
) -> anyhow::Result<ExitCode> {
    let Some(report) = stop.unless_stopped(check::run(market, steps)).await else {
        return Ok(ExitCode::FAILURE);
    };
    let report = report?;
    if args.json {
        output::json(&report)?;
    } else {
        output::line(report.lines().join("\n"))?;
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
