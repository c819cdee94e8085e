//! SQLite: the only SQL in the house, one module a table.
//!
//! Functions are named `noun_verb`, take and return domain types, and are methods of [`Store`]. A state moves by
//! `UPDATE … WHERE id = ? AND state = ?`, and the number of rows says whether it did.

mod codec;
mod confirmed_keys;
mod cursors;
mod error;
mod handle;
mod health;
mod history;
mod market;
mod open;
mod sealed;
mod upgrade;

pub mod buying;
pub mod chain_events;
pub mod envelopes;
pub mod notices;
pub mod offences;
pub mod selling;
pub mod transactions;

pub use error::StoreError;
pub use handle::Store;
pub use history::{HistoryEntry, NewHistoryEntry, Side};
pub use market::{KnownMarket, Market};

#[cfg(test)]
mod scene;
