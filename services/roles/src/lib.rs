//! The roles, each in one process: its services with mailboxes between them.
//!
//! Owns how a gateway and a provider are put together from their services, and in which order they start and stop. No
//! business rule lives here.

mod gateway;
mod ground;
mod provider;

pub use gateway::Gateway;
pub use provider::Provider;
