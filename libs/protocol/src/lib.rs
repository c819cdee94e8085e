//! Version 1 on the wire: envelopes, bodies, payloads, topics, canonical JSON, escrow sizing and job states.
//!
//! Every byte here is what the live network sends and expects; the files under `vectors/` are captures of it, and the
//! tests reproduce each of them. No I/O: bytes in, domain types out, and the other way round. What a peer sent is
//! refused with an error and never panics.

mod asked;
mod body;
pub mod canonical;
mod envelope;
mod fields;
pub mod job;
mod limits;
mod members;
mod payload;
mod refusal;
mod sizing;
mod topic;

pub use asked::{Asked, MAX_CHOICES, OVERRULING_FIELDS, RequestFault, SPENDING_FIELDS};
pub use body::{JobAck, JobDeliver, JobNotify, Message, MessageKind, OutgoingMessage};
pub use envelope::{EnvelopeError, UnsignedEnvelope, VerifiedEnvelope, parse_and_verify};
pub use fields::FieldError;
pub use limits::{
    ACK_WINDOW_SECONDS, FRESHNESS_WINDOW_SECONDS, MAX_CONTENT_BYTES, MAX_ENVELOPE_BYTES, MAX_JSON_DEPTH,
    MAX_PAYLOAD_BYTES, MAX_PSS_BYTES, MAX_REQUEST_VALUES, MAX_RESPONSE_VALUES,
};
pub use members::{Change, Members};
pub use payload::{PayloadError, RequestPayload, ResponsePayload, V1};
pub use refusal::Refusal;
pub use sizing::{
    Demand, EscrowSize, EscrowSizing, MIN_PROMPT_TOKENS, SizingError, choices_of, estimate_prompt_tokens,
    max_tokens_of, most_completion_tokens, most_prompt_tokens, output_cap, ratio_to_ppm,
};
pub use topic::{client_topic, path_topic, provider_feed, provider_topic};
