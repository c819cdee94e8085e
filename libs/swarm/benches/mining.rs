//! How long a message takes to mine on one core: `cargo bench -p t4t-swarm --bench mining [-- runs]`.
//!
//! One try is eight Keccak permutations, so that the figures are the hash's. On one core of an AMD EPYC one
//! permutation took 335 ns with tiny-keccak, 346 with keccak 0.1, 361 with sha3 0.10 and 280 with keccak-asm, two or
//! four side by side in vector lanes 550 each: not enough between them for a second hash in the house.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't run shall say so")]

use std::time::{Duration, Instant};

use t4t_swarm::Topic;
use t4t_swarm::trojan::{Target, wrap};
use t4t_types::Overlay;

fn main() {
    // Cargo itself passes `--bench`.
    let runs = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(200);
    println!(
        "{:>4} {:>6} {:>10} {:>10} {:>10} {:>10} {:>9}",
        "bits", "runs", "mean ms", "p50 ms", "p99 ms", "tries", "us/try"
    );
    for bits in [8, 12, 16] {
        measure(bits, runs);
    }
}

fn measure(bits: u8, runs: usize) {
    let topic = Topic::of_path("benchmark");
    let target = Target::of(&Overlay::new([0xa5; 32]), bits).unwrap();
    let mut took: Vec<Duration> = Vec::with_capacity(runs);
    let mut tries = 0;
    for _ in 0..runs {
        let began = Instant::now();
        let mined = wrap(&topic, None, &[7; 1000]).unwrap().mine(&[target]).unwrap();
        took.push(began.elapsed());
        tries += mined.tries;
    }
    took.sort_unstable();
    let total: Duration = took.iter().sum();
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    println!(
        "{bits:>4} {runs:>6} {:>10.2} {:>10.2} {:>10.2} {:>10} {:>9.2}",
        millis(total) / runs as f64,
        millis(took[runs / 2]),
        millis(took[runs * 99 / 100]),
        tries / runs as u64,
        millis(total) * 1000.0 / tries as f64,
    );
}
