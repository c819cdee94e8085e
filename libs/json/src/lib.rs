//! JSON as text: shared without a copy, changed in places, bounded, and canonical as signatures cover it.
//!
//! Apps and backends are given each other's JSON as it was written, so it is passed on as text; nothing here builds a
//! tree of values except [`canonical`], which has to.

pub mod canonical;
mod extent;
mod members;
mod sound;
mod splice;
mod text;

pub use extent::{Extent, MAX_JSON_DEPTH};
pub use members::{Change, Members};
pub use sound::Sound;
pub use splice::{Splice, quoted};
pub use text::JsonText;
