//! The selling side: what is offered, which jobs are taken, how they are served, and how they are paid.
//!
//! ```text
//! listing ◄── verification ◄── payment::escrow ──► payment (trait) ◄── sales ──► serving ──► runners
//! ```
//! The listing asks the runners, the escrow has requests fetched by serving, the sales have them checked by verification.
//! An arrow is who knows whom; nothing knows its caller. A payment method tells which jobs are payable; the sales have
//! them checked and served; the method closes them. Serving knows no payment, the listing no job.

mod config;
mod job_set;
mod listing;
mod payment;
mod problem;
#[cfg(test)]
mod runner_for_tests;
mod runners;
mod running;
mod sales;
mod service;
mod serving;
mod tasks;
mod verification;

pub use config::SellingConfig;
pub use listing::watch_readiness;
pub use payment::Recovered;
pub use running::{Running, routes};
pub use service::{SellingDeps, SellingService, SellingStartError};
