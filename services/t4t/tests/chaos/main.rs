//! Processes that end at the worst moment: `kill -9` at every kill point and at random times.
//!
//! `CHAOS_RUNS=n` adds n random scenarios, `CHAOS_SEED=n` says where their dice begin; a failure prints its scenario.

mod play;
mod shot;

use anyhow::Context;
use t4t_runtime::KillPoint;

use self::play::play;
use self::shot::{Aim, Shot, Side};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 3;

async fn play_all(shots: Vec<Shot>) -> anyhow::Result<()> {
    t4t_testkit::play_all(&shots, SIDE_BY_SIDE, async |shot: &Shot| {
        play(shot).await.map(|end| end.to_string())
    })
    .await
}

fn points(side: Side, passage: u32, of: impl Fn(KillPoint) -> bool) -> Vec<Shot> {
    let points = KillPoint::ALL.into_iter().filter(|point| of(*point));
    points.map(|point| Shot { side, aim: Aim::At(point, passage) }).collect()
}

#[actix_web::test]
async fn a_gateway_killed_at_any_point_pays_once_and_answers() -> anyhow::Result<()> {
    play_all(points(Side::Gateway, 1, |point| point.as_str().starts_with("buying."))).await
}

#[actix_web::test]
async fn a_provider_killed_at_any_point_is_paid_once_and_loses_nothing() -> anyhow::Result<()> {
    play_all(points(Side::Provider, 1, |point| point.as_str().starts_with("selling."))).await
}

#[actix_web::test]
async fn a_wallet_killed_between_storing_sending_and_receipt_sends_once() -> anyhow::Result<()> {
    let of = |point: KillPoint| point.as_str().starts_with("settlement.");
    // The gateway's first transaction is its approval, the provider's its acknowledgement.
    let both = [Side::Gateway, Side::Provider].map(|side| points(side, 2, of));
    play_all(both.concat()).await
}

#[actix_web::test]
async fn random_deaths_cost_nothing() -> anyhow::Result<()> {
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().context(name.to_owned()));
    let Some(runs) = number("CHAOS_RUNS").transpose()? else { return Ok(()) };
    let seed = number("CHAOS_SEED").transpose()?.unwrap_or(1);
    play_all((seed..seed + runs).map(Shot::random).collect()).await
}
