//! The `t4t` command as the suites in `tests` run it.
//!
//! Cargo builds a package's own programs before its tests, and no other package's; with this one a suite never runs a
//! command older than the sources.

use std::process::ExitCode;

fn main() -> ExitCode {
    t4t::run()
}
