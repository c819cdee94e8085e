//! Crowds: more requests than slots, a thousand in flight at once, the same request a hundred times at once.
//!
//! Everyone is answered, no nonce is used wrongly, no provider gets more than its slots, nothing is burned, the books are
//! exact, and one idempotency key is one job. `CHAOS=full` lets each crowd in ten times, `CHAOS_CROWD=n` says how many are
//! in flight at once, `CHAOS_ONLY=InFlight` plays only the crowds whose names hold that.

mod crowd;
mod market;
mod same;

use std::cell::RefCell;
use std::fmt;

use anyhow::Context;
use t4t_testkit::chaos::{Form, Row};

use self::crowd::{Crowd, Passed, pass};
use self::same::send_again_and_again;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Requests in flight at once, in the short and in the full form.
const IN_FLIGHT: (u64, u64) = (200, 1000);

/// How often each crowd comes, in the short and in the full form.
const RUNS: (u32, u32) = (1, 10);

/// A kind of crowd.
#[derive(Clone, Copy, Debug)]
enum Kind {
    BeyondSlots,
    InFlight(u64),
    SameRequest,
}

struct Play {
    kind: Kind,
    run: u32,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, run {}", self.kind, self.run)
    }
}

#[actix_web::test]
async fn every_crowd_is_answered_without_overbooking_and_one_key_is_one_job() -> anyhow::Result<()> {
    let form = Form::from_env();
    let in_flight = match std::env::var("CHAOS_CROWD") {
        Ok(number) => number.parse().context("CHAOS_CROWD")?,
        Err(_) if form == Form::Full => IN_FLIGHT.1,
        Err(_) => IN_FLIGHT.0,
    };
    let only = std::env::var("CHAOS_ONLY").unwrap_or_default();
    let kinds = [Kind::BeyondSlots, Kind::InFlight(in_flight), Kind::SameRequest];
    let kinds = kinds.into_iter().filter(|kind| format!("{kind:?}").contains(&only));
    let runs = form.runs(RUNS.0, RUNS.1)?;
    let plays: Vec<Play> = kinds.flat_map(|kind| (0..runs).map(move |run| Play { kind, run })).collect();
    let passed: RefCell<Vec<(Kind, Passed)>> = RefCell::default();
    // One after the other: each is a crowd by itself.
    t4t_testkit::play_all(&plays, 1, async |play: &Play| {
        let crowd = match play.kind {
            Kind::BeyondSlots => Crowd::beyond_slots(),
            Kind::InFlight(requests) => Crowd::in_flight(requests),
            Kind::SameRequest => return Box::pin(send_again_and_again()).await,
        };
        let one = Box::pin(pass(&crowd)).await?;
        passed.borrow_mut().push((play.kind, one));
        Ok(one.to_string())
    })
    .await?;
    report(&plays, &passed.into_inner())
}

/// A row for each kind that was played.
fn report(plays: &[Play], passed: &[(Kind, Passed)]) -> anyhow::Result<()> {
    let worst = |wanted: fn(&Kind) -> bool| {
        let of_kind = passed.iter().filter(|(kind, _)| wanted(kind)).map(|(_, passed)| *passed);
        of_kind.reduce(|worst, one| Passed {
            peak: worst.peak.max(one.peak),
            under_way: worst.under_way.max(one.under_way),
            answered: worst.answered.max(one.answered),
            closed: worst.closed.max(one.closed),
        })
    };
    let count = |wanted: fn(&Kind) -> bool| plays.iter().filter(|play| wanted(&play.kind)).count() as u64;
    let clean = "0 nonce errors, 0 overbooked, 0 slashed";
    let is_beyond = |kind: &Kind| matches!(kind, Kind::BeyondSlots);
    if let Some(worst) = worst(is_beyond) {
        let tried = "50 requests at once, 3 providers of 8 slots, blocks every second";
        Row::new(10, tried, count(is_beyond), format!("{clean}; at worst {worst}")).report()?;
    }
    let is_in_flight = |kind: &Kind| matches!(kind, Kind::InFlight(_));
    if let (Some(worst), Some(Kind::InFlight(requests))) =
        (worst(is_in_flight), plays.iter().map(|play| play.kind).find(is_in_flight))
    {
        let tried = format!("{requests} jobs in flight at once");
        Row::new(10, tried, count(is_in_flight), format!("{clean}; at worst {worst}")).report()?;
    }
    let is_same = |kind: &Kind| matches!(kind, Kind::SameRequest);
    if count(is_same) > 0 {
        let tried = "the same request 100 times at once, plain and streamed, one key each";
        Row::new(10, tried, count(is_same), "1 job for each key, 100 answers the same").report()?;
    }
    Ok(())
}
