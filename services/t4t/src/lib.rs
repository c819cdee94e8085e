//! The t4t command: every role in one process, and the operator's commands.
//!
//! Owns the command line, and what people read on their terminals. How the roles are put together is in `services/roles`,
//! the market on one machine (`t4t dev`) in `services/t4t-dev`. No business rule lives here.

mod cli;
mod commands;

use std::process::ExitCode;

use t4t_terminal::output;

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
