//! What an inference request and its answer are: read once, the same for everybody, their bytes shared.
//!
//! The edge reads an app's request and the provider reads it again on its machine, both with [`InferenceRequest`]; what
//! routing, sizing and billing need is in it, and nobody else looks into the JSON. An answer is [`Piece`]s from the
//! backend to the app.

mod asked;
mod estimate;
mod kind;
mod limits;
mod piece;
mod refusal;
mod request;

pub use asked::{MAX_CHOICES, OVERRULING_FIELDS, RequestFault, SPENDING_FIELDS};
pub use estimate::{MIN_PROMPT_TOKENS, most_completion_tokens};
pub use kind::Kind;
pub use limits::{MAX_CONTENT_BYTES, MAX_REQUEST_VALUES, MAX_RESPONSE_VALUES};
pub use piece::{Chunk, End, Piece};
pub use refusal::Refusal;
pub use request::{Demand, InferenceRequest};
