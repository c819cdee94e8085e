//! Fixtures for tests: a real EVM, a development Bee node, backends, and checks on the money.

pub mod anvil;
pub mod backend;
pub mod llama;
