//! The machine under the processes goes wrong: its disk, its power, its clock. Roles stop accepting, never sign twice, say
//! what to do, and come back by themselves; the books are exact.
//!
//! `CHAOS=full` plays many more of each, `CHAOS_SEED=n` throws other dice; a failure prints its scenario.

mod accepting;
mod clock;
mod damage;
mod disk;
mod files;
mod power;
mod tally;
mod trade;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Scenarios at a time: they mostly wait.
const SIDE_BY_SIDE: usize = 3;

/// The number of these rows in the table.
const ROW: u8 = 1;
