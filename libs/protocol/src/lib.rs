//! Version 1 on the wire: envelopes, bodies, payloads, topics, canonical JSON, escrow sizing and job states.
//!
//! Every byte here is what the live network sends and expects; the files under `vectors/` are captures of it, and the
//! tests reproduce each of them. No I/O: bytes in, domain types out, and the other way round. What a peer sent is
//! refused with an error and never panics.

mod body;
mod envelope;
mod fields;
pub mod job;
mod limits;
mod payload;
mod sizing;
mod topic;

pub use body::{JobAck, JobDeliver, JobNotify, Message, MessageKind};
pub use envelope::{EnvelopeError, UnsignedEnvelope, VerifiedEnvelope, parse_and_verify};
pub use fields::FieldError;
pub use limits::{
    ACK_WINDOW_SECONDS, FRESHNESS_WINDOW_SECONDS, MAX_ENVELOPE_BYTES, MAX_PAYLOAD_BYTES, MAX_PSS_BYTES,
};
pub use payload::{PayloadError, RequestPayload, ResponsePayload, V1};
pub use sizing::{BeyondCounting, EscrowSize, EscrowSizing, output_cap, ratio_to_ppm};
pub use topic::{client_topic, path_topic, provider_feed, provider_topic};
