//! The bounds that messages are held to, each with where it comes from.

use t4t_inference::MAX_CONTENT_BYTES;

/// Largest envelope read, in bytes. The live network's have 447 to 754; this leaves room for extensions sent over
/// HTTP, where Bee's bound ([`MAX_PSS_BYTES`]) does not apply.
pub const MAX_ENVELOPE_BYTES: usize = 16 * 1024;

/// Largest message that Bee takes for PSS, in bytes: a 4096-byte chunk less 96 bytes of its trojan header.
pub const MAX_PSS_BYTES: usize = 4000;

/// Largest opened payload read, in bytes: the largest content, and what binds it to a job.
pub const MAX_PAYLOAD_BYTES: usize = MAX_CONTENT_BYTES + 4096;

/// How far an envelope's time may lie from ours, either way, in seconds. The reference signs with the wall clock and
/// checks nothing, so honest envelopes are as fresh as its clock is right.
pub const FRESHNESS_WINDOW_SECONDS: u64 = 120;

/// Seconds after `postJob` within which a provider must acknowledge on the chain (`JobEscrow.ACK_WINDOW`).
pub const ACK_WINDOW_SECONDS: u64 = 30;
