//! The ways in which the market is tried, and what must hold in each.
//!
//! Where a test is content with less, since nothing fails for being slow on a busy machine, its own bound stands beside
//! in brackets.

use serde::Serialize;

/// A way in which the market is tried.
#[derive(Debug, Serialize)]
pub(crate) struct Scenario {
    pub(crate) number: u8,
    pub(crate) tried: &'static str,
    pub(crate) must_hold: &'static str,
}

const fn scenario(number: u8, tried: &'static str, must_hold: &'static str) -> Scenario {
    Scenario { number, tried, must_hold }
}

/// All of them, in the order of their numbers.
pub(crate) const SCENARIOS: [Scenario; 17] = [
    scenario(
        1,
        "kill -9 at every kill point",
        "ledger exact; ≤ 1 post and ≤ 1 claim a request; no inference after a stored result; recovered ≤ 10 s \
         (test: 30 s)",
    ),
    scenario(2, "RPC faults at 20 %", "every job ends; 0 double posts; 0 slashed"),
    scenario(
        3,
        "reorg depth 1–5 at post, ack, claim; at refusal, cancel",
        "job found again; nothing shown as paid that is not",
    ),
    scenario(
        4,
        "stuck, dropped, replaced transactions, foreign nonce",
        "fee bumped ≤ 3 blocks (test: 5), gap healed ≤ 30 s (test: 60 s)",
    ),
    scenario(5, "Swarm faults", "answered or cleanly refunded, 0 hangs past deadline + 60 s"),
    scenario(6, "backend faults", "claim ≤ own count; slot free ≤ 1 s after timeout"),
    scenario(7, "hostile peers", "0 panics, 0 backend calls without a job, memory growth < 50 MB"),
    scenario(8, "stake attacks", "0 slashed, open jobs back to 0, ≤ 62k gas a refusal, honest jobs served"),
    scenario(9, "URLs named by peers", "0 connections"),
    scenario(10, "crowds", "all answered, 0 nonce errors, 0 overbooked, 0 slashed, one job a key"),
    scenario(11, "keys", "0 hits, clear refusal"),
    scenario(12, "slow clients", "honest p99 < 2 × baseline (test: + 1 s, full form: + 50 ms)"),
    scenario(
        13,
        "soak",
        "slope < 1 MB/h (test: from an hour on, its uncertainty less; before, + 16 MB), files and tasks stable, \
         ledger exact",
    ),
    scenario(14, "fuzz", "0 crashes"),
    scenario(15, "hostile prices", "no stranger takes more than one request's capped price"),
    scenario(
        16,
        "hostile endpoints",
        "one false endpoint beside an honest one costs nothing and stops nobody",
    ),
    scenario(17, "hostile environments", "all jobs answered, spread even"),
];
