//! Fixtures for tests: a real EVM, a development Bee node, backends, and checks on the money.

pub mod anvil;
pub mod backend;
pub mod chaos;
mod eventually;
pub mod llama;
pub mod older;
mod plays;
pub mod processes;
pub mod secrets;
pub mod virtual_time;

pub use eventually::{eventually, eventually_equals};
pub use plays::play_all;
pub use t4t_faults::{backend_proxy, lying_rpc, rpc_proxy};
pub use t4t_ledger as ledger;
