//! Processes that end at the worst moment: `kill -9` at every kill point, at random times, and again while they recover.
//!
//! `CHAOS=full` plays each point 50 times, 500 random and 200 double scenarios; `CHAOS_RUNS=n` plays n random ones in
//! either form, `CHAOS_SEED=n` says where their dice begin. A failure prints its scenario.

mod deaths;
mod play;
mod scenario;
mod tally;

use anyhow::Context;
use t4t_runtime::KillPoint;
use t4t_testkit::chaos::{Form, seed};

use self::play::play;
use self::scenario::{Scenario, Side};
use self::tally::Tally;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 3;

/// How often each point is played in the full form: 26 of them, the wallets' counted for each side.
const TURNS: u32 = 50;

/// Random scenarios of the full form.
const RANDOM: u32 = 500;

/// Double scenarios of the short and the full form.
const DOUBLE: (u32, u32) = (6, 200);

async fn play_all(tried: &str, scenarios: &[Scenario]) -> anyhow::Result<()> {
    let tally = Tally::default();
    t4t_testkit::play_all(scenarios, SIDE_BY_SIDE, async |scenario: &Scenario| {
        let outcome = play(scenario).await?;
        tally.add(&outcome);
        Ok(outcome.to_string())
    })
    .await?;
    tally.row(tried).report()
}

fn points(side: Side, passage: u32, of: impl Fn(KillPoint) -> bool) -> anyhow::Result<Vec<Scenario>> {
    let turns = Form::from_env().runs(1, TURNS)?;
    let points = KillPoint::ALL.into_iter().filter(|point| of(*point));
    let turned = points.flat_map(|point| (0..turns).map(move |turn| (point, turn)));
    Ok(turned.map(|(point, turn)| Scenario::at(side, point, passage, turn)).collect())
}

#[actix_web::test]
async fn a_gateway_killed_at_any_point_pays_once_and_answers() -> anyhow::Result<()> {
    let plays = points(Side::Gateway, 1, |point| point.as_str().starts_with("buying."))?;
    play_all("kill −9 at each of the gateway's points", &plays).await
}

#[actix_web::test]
async fn a_provider_killed_at_any_point_is_paid_once_and_loses_nothing() -> anyhow::Result<()> {
    let plays = points(Side::Provider, 1, |point| point.as_str().starts_with("selling."))?;
    play_all("kill −9 at each of the provider's points", &plays).await
}

#[actix_web::test]
async fn a_wallet_killed_between_storing_sending_and_receipt_sends_once() -> anyhow::Result<()> {
    let of = |point: KillPoint| point.as_str().starts_with("settlement.");
    // The gateway's first transaction is the payment, the provider's second one is the claim.
    let both = [points(Side::Gateway, 1, of)?, points(Side::Provider, 2, of)?];
    play_all("kill −9 at each of both wallets' points", &both.concat()).await
}

#[actix_web::test]
async fn random_deaths_cost_nothing() -> anyhow::Result<()> {
    let runs = match std::env::var("CHAOS_RUNS") {
        Ok(text) => text.parse().context("CHAOS_RUNS")?,
        Err(_) => u64::from(Form::from_env().runs(0, RANDOM)?),
    };
    if runs == 0 {
        return Ok(());
    }
    let seed = seed()?;
    let plays: Vec<Scenario> = (seed..seed + runs).map(Scenario::random).collect();
    play_all("kill −9 at random points and times", &plays).await
}

#[actix_web::test]
async fn two_deaths_cost_no_more_than_one() -> anyhow::Result<()> {
    let runs = u64::from(Form::from_env().runs(DOUBLE.0, DOUBLE.1)?);
    let seed = seed()?;
    let plays: Vec<Scenario> = (seed..seed + runs).map(Scenario::double).collect();
    play_all("killed again while it recovers, or both sides", &plays).await
}
