//! Watching over transactions that are not final: their receipts, what those without one need, and blocks that are taken
//! back.
//!
//! ```text
//! need   receipts   refusals
//!   ▲        ▲          ▲
//!   │        └─ inclusions ◄────── renewal ──► closing ◄── gaps      resending     finality
//!   │               ▲                 ▲                     ▲            ▲             ▲
//!   └───────────────┼──────────────── repair ───────────────┴────────────┘           reorgs
//!                   └───────────────────┴─────────── watch ◄── recovery                │
//!                                                      └───────────────────────────────┘
//! ```

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
