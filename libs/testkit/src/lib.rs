//! Fixtures for tests: a real EVM, a development Bee node, backends, and checks on the money.

pub mod anvil;
pub mod backend;
mod eventually;
pub mod llama;

pub use eventually::{eventually, eventually_equals};
