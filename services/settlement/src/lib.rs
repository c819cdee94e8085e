//! All chain writes and the only wallet.
//!
//! A transaction is signed and committed with its nonce before it is sent, and the same bytes are sent again after a
//! crash, so nothing is posted or paid twice:
//!
//! ```text
//! SubmitTransaction ──► preflight ──► lane: nonce, sign, commit ──► send ──► Pending
//!                       money, gas                                  │
//!                                          watch: receipts ◄────────┘
//!                                            │ stuck: same bytes again, then a higher fee at the same nonce
//!                                            │ nonce used by another: a new nonce, once that is certain
//!                                            ▼
//!                                  Mined or Reverted ──► final after `confirmations` blocks
//! ```
//!
//! Owns the wallet's key, the sequence of its nonces and the table of its transactions. Reads no more of the chain than
//! that takes.

mod caution;
mod config;
mod core;
mod counting;
mod error;
mod gap;
mod heads;
mod inclusion;
mod intent;
mod keylocks;
mod lane;
mod mend;
mod pacing;
mod preflight;
mod purse;
mod readiness;
mod recovery;
mod reorg;
mod routes;
mod send;
mod service;
mod signing;
mod start;
mod submit;
mod watch;

pub use config::{Pace, SettlementConfig, SettlementDeps};
pub use error::StartError;
pub use intent::{Funds, SendFunds};
pub use readiness::watch_wallet;
pub use recovery::Recovered;
pub use routes::settlement_routes;
pub use service::SettlementService;
pub use start::Running;
