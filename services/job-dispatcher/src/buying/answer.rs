//! Fetching, opening and checking an answer.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use t4t_api::job_dispatcher::BuyingError;
use t4t_crypto::SealingKey;
use t4t_protocol::ResponsePayload;
use t4t_store::buying::BuyingJob;
use t4t_types::{SwarmRef, TokenUsage, Xbzz};

use crate::courier::{Courier, CourierError};

/// An answer that was checked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Box<RawValue>,
    /// What it costs by its own usage and the prices at planning; never above what was in escrow.
    pub(super) cost: Xbzz,
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
        // Somebody else's words: bounded, and on one line.
        let message: String = self.message.chars().filter(|char| !char.is_control()).take(500).collect();
        f.write_str(&message)
    }
}

impl Decline {
    /// The error for the app, if the request itself is at fault, so that no other provider need be tried.
    pub(super) fn as_bad_request(&self) -> Option<BuyingError> {
        (self.kind.as_deref() == Some("invalid_request_error"))
            .then(|| BuyingError::BadRequest { message: self.to_string(), param: self.param.clone() })
    }
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    choices: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Decline>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Fetches the answer at `reference` and checks that it answers this job and comes from its provider.
pub(super) async fn fetch(
    courier: &Courier,
    key: &SealingKey,
    row: &BuyingJob,
    reference: SwarmRef,
    patience: Duration,
) -> Result<Answer, AnswerError> {
    let sealed = courier.download_within(reference, patience).await?;
    open(key, row, &sealed)
}

fn open(key: &SealingKey, row: &BuyingJob, sealed: &[u8]) -> Result<Answer, AnswerError> {
    let opened = key.open(sealed).map_err(|_| AnswerError::Sealed)?;
    let payload =
        ResponsePayload::parse(&opened).map_err(|error| AnswerError::Malformed(error.to_string()))?;
    if payload.job_id != row.request_hash.routing_id() || payload.provider != row.provider {
        return Err(AnswerError::Foreign);
    }
    let shape: Shape = serde_json::from_str(payload.openai_response.get())
        .map_err(|error| AnswerError::Malformed(error.to_string()))?;
    if let Some(decline) = shape.error {
        return Err(AnswerError::Declined(decline));
    }
    if shape.choices.is_empty() {
        return Err(AnswerError::Malformed("it has no choices".into()));
    }
    let usage = shape.usage.map_or_else(TokenUsage::default, |usage| TokenUsage {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
    });
    let cost = row.prices.cost(usage).unwrap_or(row.max_payment).min(row.max_payment);
    Ok(Answer { response: payload.openai_response, cost })
}
