//! Backends that go wrong in fifteen ways behind a real provider: plain and streamed questions, answers as streams and in
//! one piece.
//!
//! No claim is above the price of what came or above the escrow, every request ends in an answer or in a clean error and
//! a refund, the only slot is free within a second of the backend's time limit and serves the next request, and no body
//! fills the memory. `CHAOS=full` plays each way 50 times, `CHAOS_SEED=n` throws other dice, `CHAOS_ONLY=Hang` plays only
//! the faults whose names hold that.

mod fault;
mod memory;
mod play;
mod recount;

use std::cell::RefCell;

use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::processes::Scene;

use self::fault::{Fault, Play};
use self::memory::MIB;
use self::play::{Found, play, scene};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenes at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 4;

/// Plays of each fault, in the short and in the full form.
const RUNS: (u32, u32) = (3, 50);

#[actix_web::test]
async fn no_backend_is_paid_above_its_tokens_keeps_a_slot_or_fills_the_memory() -> anyhow::Result<()> {
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let (first_seed, runs) = (seed()?, Form::from_env().runs(RUNS.0, RUNS.1)?);
    let faults = Fault::ALL.into_iter().filter(|fault| format!("{fault:?}").contains(&only));
    let plays: Vec<Play> =
        faults.flat_map(|fault| (0..runs).map(move |run| Play::new(fault, first_seed, run))).collect();
    let scenes: RefCell<Vec<Scene>> = RefCell::default();
    let found = RefCell::new(Found::default());
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play_now: &Play| {
        let waiting = scenes.borrow_mut().pop();
        let mut scene = match waiting {
            Some(scene) => scene,
            None => scene().await?,
        };
        let one = scene.play(async |scene: &mut Scene| Box::pin(play(scene, play_now)).await).await?;
        // One that failed is not used again.
        scenes.borrow_mut().push(scene);
        let told = one.to_string();
        found.borrow_mut().add(&one);
        Ok(told)
    })
    .await?;
    let found = found.into_inner();
    let figures = format!(
        "{} answered and {} refunded, 0 claims above the own count or the escrow, a slot free at most {} ms after the \
         time limit, memory grew by at most {:.1} MiB",
        found.answered,
        found.refunded,
        found.slot_late_ms,
        found.grown as f64 / MIB as f64
    );
    let tried = format!("backends that go wrong in {} ways", Fault::ALL.len());
    Row::new(6, tried, plays.len() as u64, figures).report()
}
