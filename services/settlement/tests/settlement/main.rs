//! Settlement as its callers see it, on a real EVM.

#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

mod basics;
mod crash;
mod hostile;
mod jobs;
mod lone;
mod money;
mod nonces;
mod provider;
mod reorg;
mod starting;
mod stuck;
mod world;
