//! Keys stay in their files: what is wrong with a key file is refused with the next step, and after a market traded and
//! was disturbed no key, password or token is anywhere that it does not belong.
//!
//! What is promised of memory: a key has to be in a process's memory while it is used. No core file is written whatever
//! ends the process, and nobody but root can read its memory or environment, not even its own user.

mod command;
mod core_files;
mod files;
mod market;
mod panics;
mod refused;
mod slips;

use std::path::{Path, PathBuf};

/// The command under test.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");

/// Where a program of ours is.
fn program(name: &str) -> PathBuf {
    if name == "t4t" { T4T.into() } else { Path::new(T4T).with_file_name(name) }
}

/// The password of the keystores of these tests.
const PASSWORD: &str = "correct horse battery staple";

/// The row of the table that this suite fills.
const ROW: u8 = 11;
