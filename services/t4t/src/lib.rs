//! The t4t command: every role in one process, and the operator's commands.
//!
//! Owns how the parts are put together in one process, the market on one machine (`t4t dev`), and what people read on
//! their terminals. No business rule lives here.

mod cli;
mod commands;
mod dev;
mod output;
mod steps;
mod wiring;

use std::process::ExitCode;

/// Reads the command line, does what it says and returns the process's exit status.
pub fn run() -> ExitCode {
    t4t_runtime::process::begin();
    match cli::run() {
        Ok(status) => status,
        // Whoever read the output has seen enough, as `head` does.
        Err(error) if output::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::show_error(&error);
            ExitCode::FAILURE
        }
    }
}
