//! The bounds that messages are held to, each with where it comes from.

/// Largest envelope read, in bytes. The live network's have 447 to 754; this leaves room for extensions sent over
/// HTTP, where Bee's bound ([`MAX_PSS_BYTES`]) does not apply.
pub const MAX_ENVELOPE_BYTES: usize = 16 * 1024;

/// Largest message that Bee takes for PSS, in bytes: a 4096-byte chunk less 96 bytes of its trojan header.
pub const MAX_PSS_BYTES: usize = 4000;

/// Deepest nesting of arrays and objects read. `serde_json` stops at the same depth.
pub const MAX_JSON_DEPTH: usize = 128;

/// Largest request or answer of an app or backend that is carried, in bytes. The reference's gateway takes 10 MB.
pub const MAX_CONTENT_BYTES: usize = 16 * 1024 * 1024;

/// Largest opened payload read, in bytes: the largest content, and what binds it to a job.
pub const MAX_PAYLOAD_BYTES: usize = MAX_CONTENT_BYTES + 4096;

/// Most values in a request's JSON. Each takes a reader hundreds of bytes, however few it has itself; long chats with
/// many tools have some thousands.
pub const MAX_REQUEST_VALUES: usize = 50_000;

/// Most values in an answer's JSON, which log probabilities can make long.
pub const MAX_RESPONSE_VALUES: usize = 1_000_000;

/// How far an envelope's time may lie from ours, either way, in seconds. The reference signs with the wall clock and
/// checks nothing, so honest envelopes are as fresh as its clock is right.
pub const FRESHNESS_WINDOW_SECONDS: u64 = 120;

/// Seconds after `postJob` within which a provider must acknowledge on the chain (`JobEscrow.ACK_WINDOW`).
pub const ACK_WINDOW_SECONDS: u64 = 30;
