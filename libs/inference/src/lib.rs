//! What an inference request and its answer are: read once, the same for everybody, their bytes shared.
//!
//! The edge reads an app's request and the provider reads it again on its machine, both with [`InferenceRequest`]; what
//! routing, sizing and billing need is in it, and nobody else looks into the JSON. An answer is [`Piece`]s from the
//! backend to the app.

mod answer;
mod fault;
mod kind;
mod limits;
mod media;
mod names;
mod numbers;
mod piece;
mod reading;
mod refusal;
mod request;
mod size;
#[cfg(test)]
mod tree;

pub use answer::{
    Assembly, ChatChunk, Defaults, DeltaSize, MESSAGE_TEXTS, UnusableChunk, as_chunk, is_error,
};
pub use fault::RequestFault;
pub use kind::Kind;
pub use limits::{MAX_CHOICES, MAX_CONTENT_BYTES, MAX_REQUEST_VALUES, MAX_RESPONSE_VALUES, MAX_USAGE_BYTES};
pub use names::{OVERRULING_FIELDS, SPENDING_FIELDS};
pub use piece::{Chunk, End, Piece};
pub use reading::{MessageShape, Reading, Role};
pub use refusal::Refusal;
pub use request::{Demand, InferenceRequest};
pub use size::{MIN_PROMPT_TOKENS, most_completion_tokens};
