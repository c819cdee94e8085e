//! Slow and hostile HTTP clients at the gateway's port: honest apps are served as fast as before, limits hold, and no
//! request that was smuggled in is executed.
//!
//! In the short form each attack lasts some seconds, with `CHAOS=full` ten minutes.

mod attacks;
mod bodies;
mod gauge;
mod honest;
mod raw;
mod smuggling;
mod under_attack;

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// The row of the table that this suite fills.
const ROW: u8 = 12;
