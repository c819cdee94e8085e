//! The roles, each in this process: its services with mailboxes between them.

mod gateway;
mod ground;
mod provider;

pub(crate) use gateway::Gateway;
pub(crate) use provider::Provider;
