//! The client against endpoints that fail in every way seen in the wild.

#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

mod batches;
mod failover;
mod fault_server;
mod scanner;
mod sending;
