//! Watching over transactions that are not final: their receipts, what those without one need, and blocks that are taken
//! back.
//!
//! Each knows only those before it:
//!
//! - `receipts`, `refusals`: what endpoints show of a block, and how far they are believed.
//! - `inclusions`: notes what is in a block.
//! - `need`: what a transaction without a receipt needs; then `resending` (as it is, or for a higher fee), `closing` (given
//!   up), `gaps` (places before it), `renewal` (another nonce), and `repair`, which chooses among them.
//! - `finality`, `reorgs`: blocks that stay, and blocks that are taken back.
//! - `watch`: one pass over all of it; `recovery`: the first one.

mod assembly;
mod closing;
mod finality;
mod gaps;
mod inclusions;
mod need;
mod receipts;
mod recovery;
mod refusals;
mod renewal;
mod reorgs;
mod repair;
mod resending;
mod watch;

pub(crate) use assembly::assemble;
pub use recovery::Recovered;
pub(crate) use recovery::Recovery;
pub(crate) use watch::Watch;
