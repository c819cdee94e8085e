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

/// The statuses of a backend that an app is told.
const STATUSES: [u16; 6] = [400, 404, 413, 422, 429, 503];

/// The longest message that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// The longest type, parameter and code that are passed on, in characters.
const MAX_WORD: usize = 100;

/// The longest time to wait that is passed on, in seconds.
const MAX_RETRY_AFTER: u64 = 3600;

/// OpenAI's type of an error that is the request's own.
const BLAMES_REQUEST: &str = "invalid_request_error";

impl Refusal {
    /// What blames the request itself: status 400.
    pub fn of_request(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            kind: Some(BLAMES_REQUEST.into()),
            status: Some(400),
            ..Self::default()
        }
    }

    /// What is to be tried again after so many seconds: status 503.
    pub fn try_again(message: impl Into<String>, retry_after: u64) -> Self {
        Self {
            message: message.into(),
            kind: Some("server_error".into()),
            status: Some(503),
            retry_after: Some(retry_after),
            ..Self::default()
        }
    }

    /// What has no status of its own: the app is told 502.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Some("server_error".into()), ..Self::default() }
    }

    /// Whether it says that the request is at fault, so that others would refuse it too.
    pub fn blames_request(&self) -> bool {
        match self.status {
            Some(status) => matches!(status, 400 | 404 | 413 | 422),
            None => self.kind.as_deref() == Some(BLAMES_REQUEST),
        }
    }

    /// Whether the app is to be told this one if nobody does better: it has a status of its own.
    pub fn tells_app(&self) -> bool {
        self.status.is_some() || self.blames_request()
    }

    /// The same within bounds: one line, known statuses only, and a status that fits the type. For whatever a backend or
    /// a peer says.
    #[must_use]
    pub fn bounded(self) -> Self {
        let word =
            |text: Option<String>| text.map(|text| one_line(&text, MAX_WORD)).filter(|text| !text.is_empty());
        let mut refusal = Self {
            message: one_line(&self.message, MAX_MESSAGE),
            kind: word(self.kind),
            param: word(self.param),
            code: word(self.code),
            status: self.status.filter(|status| STATUSES.contains(status)),
            retry_after: self.retry_after.map(|seconds| seconds.min(MAX_RETRY_AFTER)),
        };
        if refusal.status.is_none() && refusal.blames_request() {
            refusal.status = Some(400);
        }
        // Who knows no status goes by the type, and the other way round.
        if refusal.blames_request() {
            refusal.kind = Some(BLAMES_REQUEST.into());
        } else if refusal.kind.as_deref() == Some(BLAMES_REQUEST) {
            refusal.kind = Some("server_error".into());
        }
        refusal
    }
}

/// Somebody else's words: bounded, and on one line.
fn one_line(text: &str, limit: usize) -> String {
    text.chars().filter(|char| !char.is_control()).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_is_bounded() {
        let long = format!("first\r\nsecond\u{1b}[31m{}", "ä".repeat(1_000_000));
        let said = Refusal {
            message: long.clone(),
            kind: Some(long.clone()),
            param: Some(long.clone()),
            code: Some("\n".into()),
            status: Some(302),
            retry_after: Some(u64::MAX),
        };
        let kept = said.bounded();
        assert!(kept.message.starts_with("firstsecond[31mää"), "{kept:?}");
        assert_eq!(
            (kept.message.chars().count(), kept.param.unwrap().chars().count()),
            (MAX_MESSAGE, MAX_WORD)
        );
        assert_eq!((kept.code, kept.status, kept.retry_after), (None, None, Some(MAX_RETRY_AFTER)));
    }

    #[test]
    fn type_and_status_agree_on_who_is_to_blame() {
        let said = |kind: &str, status| {
            let refusal = Refusal { kind: Some(kind.into()), status, ..Refusal::default() }.bounded();
            (refusal.blames_request(), refusal.status, refusal.kind.unwrap())
        };
        assert_eq!(said("invalid_request_error", None), (true, Some(400), "invalid_request_error".into()));
        assert_eq!(said("BadRequestError", Some(422)), (true, Some(422), "invalid_request_error".into()));
        assert_eq!(said("invalid_request_error", Some(429)), (false, Some(429), "server_error".into()));
        assert_eq!(said("server_error", Some(500)), (false, None, "server_error".into()));
    }

    #[test]
    fn the_wire_form_is_openais_and_takes_nothing_new_where_nothing_is_said() {
        let json = serde_json::to_value(Refusal::failed("x")).unwrap();
        let expected =
            serde_json::json!({"message": "x", "type": "server_error", "param": null, "code": null});
        assert_eq!(json, expected);
    }
}
