//! The escrow of version 1: a job is posted on the chain with its payment, acknowledged, and closed by a claim.
//!
//! ```text
//! follower (chain) ─► taking_in ─► row ─► payable ─► orders: begin ─► delivery ─► closing: upload, claim, announce
//! notices (messages)      │                                 └────► refusals
//!                         └─► reorgs: jobs under another id, claims that failed meanwhile
//! sweep ─► look_up (the chain wins), overdue (claims in no block), refusals, closing
//! ```
//! A job is served from the chain alone: a notice only adds where its answer may be announced. Each step moves the row
//! first and can be taken again, so that a job found open after a restart is simply worked on.

mod acks;
mod announcer;
mod beginning;
mod chain;
mod claims;
mod closing;
mod config;
mod delivery;
mod error;
mod expiry;
mod follower;
mod look_up;
mod method;
mod names;
mod notices;
mod orders;
mod overdue;
mod refusals;
mod reorgs;
mod rows;
mod sweep;
mod taking_in;
#[cfg(test)]
mod upgraded;

pub(crate) use config::EscrowConfig;
pub(crate) use method::{Escrow, EscrowDeps};
