//! Settlement as its callers see it, on a real EVM.

mod basics;
mod crash;
mod jobs;
mod money;
mod nonces;
mod provider;
mod reorg;
mod stuck;
mod world;
