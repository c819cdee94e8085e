//! All chain writes and the only wallet.
//!
//! A transaction is signed and committed with its nonce before it is sent, and the same bytes are sent again after a
//! crash, so nothing is posted or paid twice:
//!
//! ```text
//! SubmitTransaction ──► money, gas ──► lane: nonce, sign, commit ──► send ──► Pending
//!                                                                      │
//!                                          watch: receipts ◄───────────┘
//!                                            │ stuck: same bytes again, then a higher fee at the same nonce
//!                                            │ nonce used by another: a new nonce, once that is certain
//!                                            ▼
//!                                  Mined or Reverted ──► final after `confirmations` blocks
//! ```
//!
//! Owns the wallet's key, the sequence of its nonces and the table of its transactions. Reads no more of the chain than
//! that takes.
//!
//! Its parts know each other in one direction, from the right to the left (a test guards it); nothing knows its caller:
//!
//! ```text
//! intent ◄── journal ◄── head ◄── in_flight ◄── books ◄── sending ◄── nonces ◄── watching ◄── submission ◄── service
//!            wallet                             outcomes                                                      start
//! ```
//!
//! - `intent`: what a transaction is to do; each contract has a file of its own.
//! - `journal`, `wallet`: what is stored, and what signs.
//! - `head`, `in_flight`: the newest block, and when a block is due for what was sent.
//! - `books`: what the wallet can still spend.
//! - `sending`, `outcomes`: bytes out, results in.
//! - `nonces`: the wallet's sequence.
//! - `watching`: receipts, fees, lost nonces, gaps and reorganisations.
//! - `submission`: what is checked, held and approved before anything is signed.
//!
//! Another contract is one more variant of `TransactionIntent` (`libs/api`), a file in `intent` with its calls, its gas,
//! what it takes from which allowance and what it makes of a receipt, and its name in `intent::stored`.

mod account;
mod assembly;
mod books;
mod config;
#[cfg(test)]
mod direction;
mod error;
mod foundation;
mod head;
mod in_flight;
mod intent;
mod journal;
mod nonces;
mod outcomes;
mod own_keys;
mod readiness;
mod routes;
#[cfg(test)]
mod scratch;
mod sending;
mod service;
mod start;
mod startup;
mod stop;
mod submission;
mod wallet;
mod watching;

pub use config::{Pace, SettlementConfig, SettlementDeps};
pub use error::StartError;
pub use intent::{Funds, SendFunds};
pub use readiness::watch_wallet;
pub use routes::settlement_routes;
pub use service::SettlementService;
pub use start::Running;
pub use watching::Recovered;
