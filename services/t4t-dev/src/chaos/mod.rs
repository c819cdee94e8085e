//! `t4t dev --chaos`: the market while everything outside goes wrong, for people to watch.
//!
//! Each role is a process of its own, so that it can die as in life; who watches it starts it again. Every call to the
//! chain and to the backend goes through a proxy that goes wrong now and then, the Swarm nodes lose, double and refuse,
//! and blocks are replaced. A small app asks one request a second. Whatever happens, the books must be exact.

mod app;
mod market;
mod process;
mod report;
mod storm;
mod teller;
mod weather;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use t4t_clock::{Clock, SystemClock};
use t4t_ledger::{Ledger, LedgerError};
use t4t_runtime::{Settings, StopSignal};
use t4t_terminal::Steps;

use self::app::SmallApp;
use self::market::ChaosMarket;
use self::report::{End, Report};
use self::storm::Storm;
use self::teller::{Place, Teller};
use super::app::App;
use super::summary::{self, Shown};
use crate::args::DevArgs;

/// One request, and one throw of the dice.
const SECOND: Duration = Duration::from_secs(1);

/// Seconds between two summaries.
const SUMMARY_EVERY: u64 = 10;

/// Seconds that a check lasts, before it waits for what is open.
const CHECK_SECONDS: u64 = 12;

/// How long everything may take to be settled after the faults.
const SETTLED_LIMIT: Duration = Duration::from_secs(300);

/// Seeds that are easy to type.
const SEEDS: u64 = 1_000_000;

/// Runs the market under faults until it is stopped, or for a check.
pub(super) async fn run(args: &DevArgs, settings: &Settings, stop: &StopSignal) -> anyhow::Result<ExitCode> {
    let steps = Steps::begin();
    let seed = args.chaos_seed.unwrap_or_else(|| SystemClock.unix_millis() % SEEDS);
    let teller = Teller::new(args.json);
    let starting = Box::pin(ChaosMarket::start(args, settings, seed, &steps, &teller));
    let Some(market) = stop.unless_stopped(starting).await else { return Ok(ExitCode::FAILURE) };
    let market = market?;
    if !args.check {
        show(args, &market, &steps)?;
    }
    let ended = Box::pin(watch(args, &market, seed, &teller, stop)).await;
    market.stop().await;
    Ok(if ended? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(args: &DevArgs, market: &ChaosMarket, steps: &Steps) -> anyhow::Result<()> {
    let shown = Shown {
        world: &market.world,
        offers: &market.offers,
        gateway: market.gateway_url.clone(),
        ready_ms: steps.elapsed_ms(),
    };
    summary::show(&shown, args.json)
}

/// Lets everything go wrong until it is told to stop, then waits for what is open; whether all was well.
async fn watch(
    args: &DevArgs,
    market: &ChaosMarket,
    seed: u64,
    teller: &Teller,
    stop: &StopSignal,
) -> anyhow::Result<bool> {
    let model = market.offers.first().context("no model is on offer")?.model.parse();
    let app = App::new(&market.gateway_url, &model.context("the first model on offer has no usable name")?)?;
    let mut app = SmallApp::new(app, teller.clone(), market.world.backend.is_demo(), seed);
    let mut storm = Storm::new(seed, args.check);
    let ledger = market.ledger();
    say_what_begins(args, seed, teller);
    market.faults.break_out();
    let mut second = 0;
    while !args.check || second < CHECK_SECONDS {
        if stop.unless_stopped(SystemClock.sleep(SECOND)).await.is_none() {
            break;
        }
        second += 1;
        if !args.chaos_quiet {
            app.ask();
        }
        storm.strike(second, market, teller).await;
        if second % SUMMARY_EVERY == 0 {
            Report::new(market, &storm, app.tally()).tell(&ledger, teller).await;
        }
        teller.is_read()?;
    }
    market.faults.heal();
    end(seed, market, &storm, &mut app, &ledger, teller).await
}

fn say_what_begins(args: &DevArgs, seed: u64, teller: &Teller) {
    let asks = if args.chaos_quiet { "ask with your own app" } else { "a small app asks once a second" };
    teller.say(Place::Market, &format!("from now on everything goes wrong now and then; {asks}"));
    teller.say(Place::Market, &format!("--chaos-seed {seed} throws the same dice again"));
}

async fn end(
    seed: u64,
    market: &ChaosMarket,
    storm: &Storm,
    app: &mut SmallApp,
    ledger: &Ledger,
    teller: &Teller,
) -> anyhow::Result<bool> {
    teller.say(Place::Market, "no more faults; waiting until every request and every job is over");
    let tally = app.finish().await;
    let closed = ledger.closed(SETTLED_LIMIT).await.map(drop);
    let report = Report::new(market, storm, tally);
    let end = End { seed, report, seconds: teller.seconds(), wrong: wrong(closed) };
    let is_well = end.tell(ledger, teller).await;
    teller.is_read()?;
    Ok(is_well)
}

/// What is wrong with the books.
fn wrong(closed: Result<(), LedgerError>) -> Vec<String> {
    match closed {
        Ok(()) => Vec::new(),
        Err(LedgerError::Wrong { wrong, table }) => {
            wrong.into_iter().chain(table.lines().map(str::to_owned)).collect()
        }
        Err(error) => vec![format!("{:#}", anyhow::Error::from(error))],
    }
}
