//! A chain that takes blocks back, and wallets whose transactions get stuck, lost or robbed of their places: whole
//! markets of real processes on a real chain.
//!
//! `CHAOS=full` plays the long form, `CHAOS_SEED=n` throws other dice, `CHAOS_ONLY=Claim` plays only the scenarios whose
//! names hold that.

mod asking;
mod books;
mod chain;
mod dice;
mod nonces;
mod reorgs;

use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::play_all;

use self::nonces::{Nonces, Trouble};
use self::reorgs::{Reorg, Reorgs};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// The scenarios that `CHAOS_ONLY` leaves.
fn chosen<T: std::fmt::Display>(plays: Vec<T>) -> Vec<T> {
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    plays.into_iter().filter(|play| play.to_string().contains(&only)).collect()
}

#[actix_web::test]
async fn a_block_taken_back_at_any_moment_costs_nobody_anything() -> anyhow::Result<()> {
    let form = Form::from_env();
    let plays = match form {
        Form::Short => Reorg::every_depth(),
        Form::Full => Reorg::random(seed()?, form.runs(17, 300)?),
    };
    let plays = chosen(plays);
    let found = Reorgs::default();
    play_all(&plays, SIDE_BY_SIDE, async |play: &Reorg| {
        let end = reorgs::play(play).await?;
        found.add(&end);
        Ok(end.to_string())
    })
    .await?;
    Row::new(3, "reorganisation of depth 1 to 5", plays.len() as u64, found.to_string()).report()
}

#[actix_web::test]
async fn a_transaction_without_a_place_gets_one_and_its_job_is_paid_once() -> anyhow::Result<()> {
    let form = Form::from_env();
    let plays = match form {
        Form::Short => Trouble::each(20),
        Form::Full => Trouble::random(seed()?, form.runs(20, 200)?),
    };
    let plays = chosen(plays);
    let found = Nonces::default();
    play_all(&plays, SIDE_BY_SIDE, async |play: &Trouble| {
        let end = nonces::play(play).await?;
        found.add(&end);
        Ok(end.to_string())
    })
    .await?;
    let tried = "stuck, dropped and replaced transactions, nonces used by others";
    Row::new(4, tried, plays.len() as u64, found.to_string()).report()
}
