//! `t4t dev`: the whole market on one machine.
//!
//! A real EVM (anvil) with the contracts deployed and wallets funded, Bee-compatible nodes, one provider and one
//! gateway. Every run starts a fresh market: the chain and the nodes live in memory, so databases of an earlier run
//! would speak of jobs that no longer exist.

mod anvil;
mod app;
mod backend;
mod chaos;
mod check;
mod demo;
mod folder;
mod market;
mod money;
mod roles;
mod summary;
mod tools;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use t4t_runtime::config::keys;
use t4t_runtime::telemetry::{self, LogConfig};
use t4t_runtime::{Settings, StopSignal, process};
use t4t_types::Address;
use url::Url;

use self::folder::DevFolder;
use self::market::Market;
use crate::output;
use crate::steps::Steps;

/// Runs the whole market on this machine. Every run starts a fresh market.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// The inference backend (Ollama, vLLM, llama.cpp, any OpenAI-compatible server).
    #[arg(long, value_name = "URL")]
    backend: Option<Url>,
    /// The gateway's port.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Where databases, keys and the chain program are kept.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Removes everything in the folder first, the chain program too.
    #[arg(long)]
    fresh: bool,
    /// Seconds between blocks; 0 makes a block for each transaction at once.
    #[arg(long, value_name = "S", default_value_t = 1)]
    block_time: u64,
    /// Gives this wallet 1,000 xBZZ and 1,000 xDAI on the fresh chain, for a role that is started beside it. May be given
    /// more than once.
    #[arg(long, value_name = "ADDRESS")]
    fund: Vec<Address>,
    /// Makes everything outside go wrong, kills the roles now and then, and shows it all and the money, live.
    #[arg(long)]
    chaos: bool,
    /// Throws these dice; otherwise others each time. The number in use is shown.
    #[arg(long, value_name = "N", requires = "chaos")]
    chaos_seed: Option<u64>,
    /// Leaves out the small app that asks one request a second: ask with your own.
    #[arg(long, requires = "chaos", conflicts_with = "check")]
    chaos_quiet: bool,
    /// Buys two answers, checks the money to the last PLUR, and ends.
    #[arg(long)]
    check: bool,
    /// Writes JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs `t4t dev`.
pub(crate) fn run(args: DevArgs, settings: Settings) -> anyhow::Result<ExitCode> {
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
    let steps = Steps::new();
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
