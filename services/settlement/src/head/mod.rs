//! The chain's newest block: what fees, waiting times and finality are derived from.

mod heads;
mod possible_reorg;
mod reader;

pub(crate) use heads::{Heads, Succession};
pub(crate) use reader::HeadReader;
