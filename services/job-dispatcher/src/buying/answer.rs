//! Fetching, opening and checking an answer.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::BuyingError;
use t4t_crypto::SealingKey;
use t4t_protocol::ResponsePayload;
use t4t_store::buying::BuyingJob;
use t4t_swarm::SwarmError;
use t4t_types::{SwarmRef, Xbzz};

use super::shape::Shape;
use super::trust::Offence;
use crate::courier::{Courier, CourierError, Fetched};

/// Characters of somebody else's words that are kept.
const MAX_WORDS: usize = 500;

/// An answer that was checked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Box<RawValue>,
    /// What it costs by its own usage and the prices at planning; never above what was in escrow.
    pub(super) cost: Xbzz,
    /// Whether it says what it used.
    pub(super) is_counted: bool,
}

/// Why there is no answer at a reference.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer could not be fetched: {0}")]
    Fetch(#[from] CourierError),
    #[error("the answer could not be opened")]
    Sealed,
    #[error("the answer is not one: {0}")]
    Malformed(String),
    #[error("the answer belongs to another job or comes from somebody else")]
    Foreign,
    /// The provider says why it did not answer.
    #[error("{0}")]
    Declined(Decline),
}

impl AnswerError {
    /// What it says of a provider that was paid.
    pub(super) fn offence(&self) -> Offence {
        match self {
            // What is larger than any answer is there, and none.
            Self::Fetch(CourierError::Swarm(SwarmError::TooLarge { .. })) => Offence::NoAnswer,
            Self::Fetch(_) => Offence::NotThere,
            Self::Sealed => Offence::Unreadable,
            Self::Malformed(_) | Self::Foreign | Self::Declined(_) => Offence::NoAnswer,
        }
    }
}

/// A provider's word for why it did not answer, in the form of an OpenAI error.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Decline {
    pub(super) message: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    param: Option<String>,
}

impl std::fmt::Display for Decline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = one_line(&self.message);
        f.write_str(if message.trim().is_empty() { "it refused the job" } else { &message })
    }
}

impl Decline {
    /// The error for the app, if the request itself is said to be at fault: it is told once a second provider says so,
    /// or if there is none.
    pub(super) fn as_bad_request(&self) -> Option<BuyingError> {
        (self.kind.as_deref() == Some("invalid_request_error")).then(|| BuyingError::BadRequest {
            message: self.to_string(),
            param: self.param.as_deref().map(one_line),
        })
    }
}

/// Somebody else's words: bounded, and on one line.
fn one_line(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_WORDS).collect()
}

/// Fetches the answer at `reference` and checks that it answers this job and comes from its provider.
pub(super) async fn fetch(
    courier: &Courier,
    key: &SealingKey,
    row: &BuyingJob,
    reference: SwarmRef,
    patience: Duration,
) -> Result<Answer, AnswerError> {
    let Fetched { sealed, room: _room } = courier.download_within(reference, patience).await?;
    check(row, open(key, sealed)?)
}

/// Opens an answer; neither what was sealed nor what was opened is in memory after it, beside the answer itself.
fn open(key: &SealingKey, sealed: Bytes) -> Result<ResponsePayload, AnswerError> {
    let opened = key.open(&sealed).map_err(|_| AnswerError::Sealed)?;
    drop(sealed);
    ResponsePayload::parse(&opened).map_err(|error| AnswerError::Malformed(error.to_string()))
}

fn check(row: &BuyingJob, payload: ResponsePayload) -> Result<Answer, AnswerError> {
    if payload.job_id != row.request_hash.routing_id() || payload.provider != row.provider {
        return Err(AnswerError::Foreign);
    }
    let shape = Shape::read(payload.openai_response.get())
        .map_err(|error| AnswerError::Malformed(one_line(&error.to_string())))?;
    let usage = shape.usage();
    let choices = shape.choices();
    if let Some(decline) = shape.error {
        return Err(AnswerError::Declined(decline));
    }
    if choices == 0 {
        return Err(AnswerError::Malformed("it has no choices".into()));
    }
    let cost = |usage| row.prices.cost(usage).unwrap_or(row.max_payment).min(row.max_payment);
    let cost = usage.map(cost);
    Ok(Answer {
        response: payload.openai_response,
        cost: cost.unwrap_or_default(),
        is_counted: cost.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decline(message: &str, kind: &str) -> Decline {
        Decline { message: message.into(), kind: Some(kind.into()), param: None }
    }

    #[test]
    fn of_a_providers_words_500_characters_are_kept_on_one_line() {
        let long = format!("first\r\nsecond\u{1b}[31m{}", "ä".repeat(1_000_000));
        let kept = decline(&long, "server_error").to_string();
        assert!(kept.starts_with("firstsecond[31mää"), "{kept}");
        assert_eq!(kept.chars().count(), MAX_WORDS);
        assert_eq!(decline("\n\t \0", "server_error").to_string(), "it refused the job");
    }

    #[test]
    fn what_reaches_the_app_of_a_refusal_is_bounded_too() {
        let long = "x\n".repeat(10_000);
        let mut declined = decline(&long, "invalid_request_error");
        declined.param = Some(long);
        let Some(BuyingError::BadRequest { message, param: Some(param) }) = declined.as_bad_request() else {
            panic!("the request is blamed");
        };
        assert_eq!((message, param), ("x".repeat(MAX_WORDS), "x".repeat(MAX_WORDS)));
    }
}
