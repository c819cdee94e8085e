//! The wallet's nonces: how many are used up, which comes next, and who gets it.

mod assembly;
mod counts;
mod lane;
mod lost;
mod sequence;
mod uncounted;

pub(crate) use assembly::{Nonces, lost_nonces};
pub(crate) use counts::{NonceCounts, Used};
pub(crate) use lane::Lane;
pub(crate) use lost::LostNonces;
pub(crate) use sequence::{FEW, holes};
pub(crate) use uncounted::Uncounted;
