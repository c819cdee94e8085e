//! Wrapping and mining of a message on one core.

use std::time::{Duration, Instant};

use t4t_swarm::Topic;
use t4t_swarm::trojan::{Target, wrap};
use t4t_types::Overlay;

use crate::samples::Samples;
use crate::table::Table;

/// As long as a notice of a job is.
const MESSAGE_BYTES: usize = 1000;

/// Bits, messages, and the mean that must be reached, in milliseconds.
const CASES: [(u8, usize, f64); 2] = [(12, 500, 20.0), (16, 150, 300.0)];

/// Measures messages to a neighbourhood of 12 and of 16 bits.
pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    let mut means = Vec::new();
    for (bits, messages, limit) in CASES {
        let taken = (0..messages).map(|number| mine(bits, number)).collect::<anyhow::Result<Samples>>()?;
        println!("{bits} bits: {taken}");
        let what = format!("a PSS message wrapped and mined to {bits} bits on one core: mean");
        table.at_most(what, taken.mean(), limit, "ms");
        means.push(taken.mean());
    }
    println!("ratio: 16 bits / 12 bits {:.1} (expected 16)", means[1] / means[0]);
    Ok(())
}

fn mine(bits: u8, number: usize) -> anyhow::Result<Duration> {
    let overlay = Overlay::new(t4t_types::keccak256(number.to_be_bytes()));
    let target = Target::of(&overlay, bits)?;
    let began = Instant::now();
    let mined = wrap(&Topic::of_path("benchmark"), None, &[7; MESSAGE_BYTES])?.mine(&[target])?;
    std::hint::black_box(mined.data);
    Ok(began.elapsed())
}
