//! The way messages and payloads travel: signed by settlement, carried by Swarm.
//!
//! What buying and selling know of it is [`Courier`]; it knows neither of them. Nothing here says that something arrived:
//! that is the recipient's to confirm, or the chain's.
//!
//! ```text
//! Courier (trait) ◄─ SwarmCourier ─► fetching ─► budget: memory for downloads
//!                         │
//!                         └─► inbox: messages, checked and sorted
//! postage: keeps the batch alive that pays for all of it
//! ```

mod budget;
mod courier;
mod fetching;
mod inbox;
pub mod postage;
mod swarm;

pub use budget::BudgetShare;
pub use courier::{Courier, CourierError, Fetched};
pub use inbox::Inbox;
pub use swarm::{CourierConfig, SwarmCourier};
