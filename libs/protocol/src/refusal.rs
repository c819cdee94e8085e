//! What stands in the place of an answer that there is none of: an OpenAI error, sealed to the client like an answer.
//!
//! Version 1 has no message for "no"; docs/decisions/0004 says how a refusal is carried and read.

use serde::{Deserialize, Serialize};

/// Why a backend did not answer, as far as an app may be told. The first four fields are OpenAI's; peers that know no
/// others ignore them.
///
/// On the wire: `{"error": {"message", "type", "param", "code", "status"?, "retry_after"?}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// What went wrong. Never part of an answer's text.
    pub message: String,
    /// OpenAI's error type: `invalid_request_error` blames the request.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The request's field that is at fault.
    pub param: Option<String>,
    /// A short code, such as `context_length_exceeded`.
    pub code: Option<String>,
    /// The backend's HTTP status: one of 400, 404, 413, 422, 429 and 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}
