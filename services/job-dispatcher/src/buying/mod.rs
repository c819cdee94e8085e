//! The buying side: choose a provider, seal, pay, send, collect the answer, fail over.
//!
//! ```text
//! BuyAnswer ─► board ─► purchase ─► choice ─► attempt ─► row, upload, escrow, notice
//!                   ▲                    bounds,      │
//!                   └── progress         trust, spend ▼
//!          chain events, messages ─► ledger (rows) ─► whoever waits for the row
//!                                      ▲
//!                             sweep: what is overdue is taken back
//! ```

mod answer;
mod attempt;
mod board;
mod bounds;
mod capacity;
mod choice;
mod config;
mod follow;
mod leaving;
mod ledger;
mod noticing;
mod paying;
mod posting;
mod purchase;
mod select;
mod service;
mod shape;
mod spend;
mod storing;
mod sweep;
mod trust;

pub use bounds::Bounds;
pub use config::{BuyingConfig, Strategy};
pub use service::{BuyingDeps, BuyingError as BuyingStartError, BuyingService, Recovered, Running, routes};
pub use spend::DayLimits;
