//! The chain's newest block: what fees, waiting times and finality are derived from.

mod doubt;
mod heads;
mod tip;

pub(crate) use heads::{Heads, Succession};
pub(crate) use tip::Tip;
