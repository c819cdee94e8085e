//! The buying side: a purchase is choice, payment and delivery.
//!
//! ```text
//! service ─► purchase ─► choice ─► listing, pricing, trust, capacity, spend
//!    │          │
//!    │          └─► payment (a trait) ◄─ escrow (version 1) ─► delivery: an answer, fetched and checked
//!    ▼
//!   log: purchases in flight, each a log that any number of readers follow
//! ```
//! Arrows say who knows whom; nothing knows its caller.

mod attempt;
mod capacity;
mod choice;
mod config;
mod delivery;
mod listing;
mod log;
mod payment;
mod pricing;
mod purchase;
mod service;
mod spend;
mod trust;
mod wanted;

pub use choice::{Bounds, Strategy};
pub use config::BuyingConfig;
pub use payment::Recovered;
pub use service::{BuyingDeps, BuyingError as BuyingStartError, BuyingService, Running, routes};
pub use spend::DayLimits;
