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
use t4t_types::{SwarmRef, TokenUsage, Xbzz};

use super::shape::Shape;
use super::trust::{Offence, Worth};
use crate::courier::{Courier, CourierError, Fetched};

/// Characters of somebody else's words that are kept.
const MAX_WORDS: usize = 500;

/// What of a request an answer is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The request's length.
    pub(super) bytes: usize,
    /// Whether it has tools that may be called.
    pub(super) tools: bool,
}

/// An answer that was checked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Box<RawValue>,
    /// What its provider may claim for it.
    pub(super) worth: Worth,
    /// Whether it has no text, thought, refusal or tool call.
    pub(super) is_empty: bool,
}

impl Answer {
    /// What it costs by its own usage and the prices at planning, never above what was in escrow; nothing where it does
    /// not say what it used.
    pub(super) fn cost(&self) -> Xbzz {
        self.worth.stated.unwrap_or_default()
    }
}

/// Tokens of a prompt beside its request's own bytes: what a chat template adds.
const TEMPLATE_TOKENS: u64 = 512;

/// Tokens of an answer beside its bytes: the ends of its choices.
const TOKENS_PER_CHOICE: u64 = 16;

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
    (row, asked): (&BuyingJob, Asked),
    reference: SwarmRef,
    patience: Duration,
) -> Result<Answer, AnswerError> {
    let Fetched { sealed, room: _room } = courier.download_within(reference, patience).await?;
    check(row, asked, open(key, sealed)?)
}

/// Opens an answer; neither what was sealed nor what was opened is in memory after it, beside the answer itself.
fn open(key: &SealingKey, sealed: Bytes) -> Result<ResponsePayload, AnswerError> {
    let opened = key.open(&sealed).map_err(|_| AnswerError::Sealed)?;
    drop(sealed);
    ResponsePayload::parse(&opened).map_err(|_| AnswerError::Malformed("its frame can't be read".into()))
}

fn check(row: &BuyingJob, asked: Asked, payload: ResponsePayload) -> Result<Answer, AnswerError> {
    if payload.job_id != row.request_hash.routing_id() || payload.provider != row.provider {
        return Err(AnswerError::Foreign);
    }
    let shape = Shape::read(payload.openai_response.get())
        .map_err(|error| AnswerError::Malformed(whereabouts(&error)))?;
    let (worth, choices, is_empty) =
        (worth(row, asked, &shape), shape.choices(), shape.is_empty(asked.tools));
    if let Some(decline) = shape.error {
        return Err(AnswerError::Declined(decline));
    }
    if choices == 0 {
        return Err(AnswerError::Malformed("it has no choices".into()));
    }
    Ok(Answer { response: payload.openai_response, worth, is_empty })
}

/// Where an answer can't be read. A parser's own words would quote it.
fn whereabouts(error: &serde_json::Error) -> String {
    format!("it can't be read at line {}, column {}", error.line(), error.column())
}

/// What a provider may claim for an answer: a token has a byte at least, in the prompt as in the answer.
fn worth(row: &BuyingJob, asked: Asked, shape: &Shape<'_>) -> Worth {
    let cost = |usage| row.prices.cost(usage).unwrap_or(row.max_payment).min(row.max_payment);
    let request_bytes = u64::try_from(asked.bytes).unwrap_or(u64::MAX);
    let ends = TOKENS_PER_CHOICE.saturating_mul(shape.choices() as u64);
    let most = TokenUsage {
        prompt: request_bytes.saturating_add(TEMPLATE_TOKENS),
        completion: shape.delivered_bytes().saturating_add(ends),
    };
    let usage = shape.usage();
    let at_most = usage.map_or(most, |usage| TokenUsage {
        prompt: usage.prompt.min(most.prompt),
        completion: usage.completion.min(most.completion),
    });
    // A usage within the bounds that a price then makes dearer is judged by the price alone.
    let is_plausible = usage.is_none_or(|usage| usage == at_most);
    let at_most = if is_plausible { cost(most) } else { cost(at_most) };
    Worth { stated: usage.map(cost), at_most, escrow: row.max_payment }
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
