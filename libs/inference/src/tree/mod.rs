//! The readers that build trees, as they were before the scan: what it must agree with.

mod asked;
mod estimate;
mod limits;
mod media;
mod members;

pub(crate) use asked::Asked;
pub(crate) use estimate::size_of;
