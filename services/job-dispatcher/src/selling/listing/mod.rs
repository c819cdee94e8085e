//! The shop window: what is offered at which price, the registry's entry that says so, and whether new jobs are taken.
//!
//! ```text
//! window ─► checks (what stands in the way) ─► intake (open or closed)
//!    └────► publisher ─► own_entry, registration, transactions, pace
//!                 └────► offer ─► prices (what the registry has shown)
//! ```
//! It knows the runners' models and the chain. Of jobs it knows how many are open.

mod checks;
mod intake;
mod offer;
mod own_entry;
mod pace;
mod prices;
mod publisher;
mod readiness;
mod registration;
mod starting;
mod transactions;
mod window;

pub use readiness::watch_readiness;
pub(crate) use window::{Listing, ListingConfig, ListingDeps};
