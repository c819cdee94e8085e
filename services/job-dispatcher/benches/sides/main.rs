//! What the two sides cost by themselves, with scripted counterparts that take no time.
//!
//! `TMPDIR=/dev/shm cargo bench -p t4t-job-dispatcher --bench sides -- in-flight 64 2000` buys 2000 answers, 64 at a time;
//! under `taskset` it says what a second core is worth. `… -- requests 120 2000` makes 120 requests of 2000 bytes between a
//! gateway and a provider, on virtual time: under `valgrind --tool=callgrind`, the difference between two counts is the
//! instructions of one request, whatever the start cost.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod in_flight;
mod requests;
#[path = "../../tests/sides/rig/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the rig is a test's, and a bench needs a part of it")]
mod rig;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    // Cargo itself passes `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |at: usize, usual: usize| match words.get(at) {
        Some(word) => word.parse().with_context(|| format!("{word} is no number")),
        None => Ok(usual),
    };
    match words.first().map(String::as_str) {
        Some("in-flight") | None => in_flight::measure(number(1, 64)?, number(2, 2000)?),
        Some("requests") => requests::make(number(1, 100)?, number(2, 2000)?),
        Some(other) => bail!("there is no part {other}; there are in-flight and requests"),
    }
}
