//! The runners that this provider can hand jobs to: one in this process, any number that registered over HTTP.
//!
//! ```text
//! pool: who may have which job ─► book: who is there, and how loaded
//!   │                         ├─► queue: who waits for a slot, in which order
//!   └─► offers: what they       └─► prefixes: who has which beginning in memory
//!       offer together
//! ```

mod book;
mod offers;
mod pool;
mod prefixes;
mod queue;
#[cfg(test)]
mod tests;

pub(crate) use pool::{LOOK_AGAIN, Runners, RunnersConfig, Slot};
pub(crate) use prefixes::prefix_of;
