//! The market on virtual time: the real services of a gateway and two providers, on real SQLite, with a chain that runs
//! the real contracts, and a Swarm, backends and machines that go wrong as a seed says.
//!
//! `SIMULATIONS=n` plays n histories, `CHAOS_SEED=n` begins with another one. A failure prints its seed and what
//! happened; `SIMULATIONS=1 CHAOS_SEED=n` plays it again.
//!
//! Each machine is a runtime of one thread that is pulled like a plug. The world goes on only when every machine rests:
//! no task can go on, and no database works. What leaves a machine (a question to the chain, a message, an upload)
//! arrives later on the timeline, or never, and the machine may be dead by then.

mod backend;
mod chain;
mod evm;
mod history;
mod machine;
mod network;
mod rpc;
mod timeline;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use t4t_testkit::chaos::{self, Form, Row};

use self::history::{End, play};
use self::network::lock;

/// Histories of the short and of the long form. CI plays more than the short form: see `.ci/test`.
const HISTORIES: (u32, u32) = (300, 100_000);

/// How often a history is played until it takes the same course again.
const REPLAYS: usize = 8;

/// Failures after which no further history is begun.
const ENOUGH_FAILURES: usize = 5;

#[test]
fn whatever_happens_the_books_are_exact_and_every_app_is_told() -> anyhow::Result<()> {
    let runs = match std::env::var("SIMULATIONS") {
        Ok(text) => text.parse().context("SIMULATIONS")?,
        Err(_) => Form::from_env().runs(HISTORIES.0, HISTORIES.1)?,
    };
    let first = chaos::seed()?;
    let began = Instant::now();
    let (ends, failures) = play_all(first, u64::from(runs));
    for (seed, failure) in &failures {
        eprintln!("the history of CHAOS_SEED={seed} FAILED\n{failure}\n");
    }
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    ensure!(seeds.is_empty(), "failed: {seeds:?}");
    let sum = |of: fn(&End) -> u64| ends.iter().map(of).sum::<u64>();
    let found = format!(
        "{} answered, {} told an error, {} jobs, {} paid, {} slashed; {} deaths, {} reorganisations, {:.0} h of \
         market in {:.0?}",
        sum(|end| end.answered as u64),
        sum(|end| end.errors as u64),
        sum(|end| end.jobs as u64),
        sum(|end| end.paid as u64),
        sum(|end| end.slashed as u64),
        sum(|end| end.deaths.into()),
        sum(|end| end.reorgs.into()),
        sum(|end| end.seconds) as f64 / 3600.0,
        began.elapsed(),
    );
    Row::new(1, "simulated histories: deaths, reorganisations, faults of everything", runs.into(), found)
        .report()
}

#[test]
fn a_history_replays_from_its_seed() -> anyhow::Result<()> {
    for seed in 100..105 {
        let first = play(seed)?;
        // On a busy machine the database's own thread can swap two things of one millisecond.
        let replays = (0..REPLAYS)
            .find_map(|_| play(seed).map(|again| (again.trace == first.trace).then_some(())).transpose());
        replays.with_context(|| format!("seed {seed} never took the same course again"))??;
    }
    Ok(())
}

/// Plays the histories on all cores.
fn play_all(first: u64, runs: u64) -> (Vec<End>, Vec<(u64, String)>) {
    let (next, ends, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs || lock(&failures).len() >= ENOUGH_FAILURES {
                        return;
                    }
                    let seed = first + number;
                    match catch_unwind(AssertUnwindSafe(|| play(seed))) {
                        Ok(Ok(end)) => lock(&ends).push(end),
                        Ok(Err(error)) => lock(&failures).push((seed, format!("{error:#}"))),
                        Err(_) => lock(&failures).push((seed, "a panic".to_owned())),
                    }
                }
            });
        }
    });
    let inner = |mutex: Mutex<_>| mutex.into_inner().unwrap_or_default();
    (ends.into_inner().unwrap_or_default(), inner(failures))
}
