//! The manifests and compose files as they are: their containers as processes, with the environment, user, file modes and
//! folders that they would have.

#![expect(clippy::unwrap_used, reason = "the helpers of a test end it where they can't help")]

mod app;
mod compose;
mod container;
mod image;
mod kubernetes;
mod play;
mod written;

/// The command under test; the services' programs lie beside it.
const T4T: &str = env!("CARGO_BIN_EXE_t4t-trials");
