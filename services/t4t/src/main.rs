//! The `t4t` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    t4t::run()
}
