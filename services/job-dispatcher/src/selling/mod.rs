//! The selling side: watch the chain, verify, accept or refuse, hand to a runner, deliver, claim.
//!
//! ```text
//! JobPosted ─► follow ─► verify ─► row ─► work: fetch, open, ack, run, store, upload, claim, announce
//!                          │        ▲
//!                          ▼        │
//!                     refusal   notices (where to announce), sweep (what runs out of time is refused)
//! ```
//! A job is served from the chain alone: a notice only adds where its answer may be announced.

mod allowance;
mod answer;
mod config;
mod follow;
mod late;
mod ledger;
mod listing;
mod problem;
mod reorg;
mod request;
mod runners;
mod service;
mod settling;
mod sweep;
mod taking_in;
mod telling;
mod verify;
mod work;

pub use config::SellingConfig;
pub use listing::watch_readiness;
pub use service::{Recovered, Running, SellingDeps, SellingService, SellingStartError, routes};
