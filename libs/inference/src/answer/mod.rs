//! An answer while it comes: chunks read where they stand, put together to the one object that they make up.
//!
//! Backends leave fields out, repeat them or write them in another form than OpenAI does; what can be understood is
//! understood. Nothing here knows where the chunks come from or what they cost.

mod assembly;
mod calls;
mod choice;
mod chunk;
mod delta;
mod ending;
mod fields;
mod footprint;
mod lenient;
mod parts;
mod size;
mod whole;

pub use assembly::{Assembly, Defaults, UnusableChunk};
pub use chunk::ChatChunk;
pub use fields::{MESSAGE_TEXTS, is_error};
pub use size::DeltaSize;
pub use whole::as_chunk;
