//! Fetching, opening and checking an answer.

use std::time::Duration;

use bytes::Bytes;
use t4t_crypto::SealingKey;
use t4t_json::JsonText;
use t4t_protocol::{PayloadError, ResponsePayload};
use t4t_store::buying::BuyingJob;
use t4t_swarm::SwarmError;
use t4t_types::{SwarmRef, TokenUsage, Xbzz};

use super::decline::Decline;
use super::shape::Shape;
use crate::buying::trust::{Offence, Worth};
use crate::buying::wanted::AskedFor;
use crate::carriage::{Courier, CourierError, Fetched};

/// An answer that was checked.
#[derive(Debug)]
pub(in crate::buying) struct Answer {
    pub(in crate::buying) whole: JsonText,
    /// What it says that it used; nothing where it does not say.
    pub(in crate::buying) usage: TokenUsage,
    /// What its provider may claim for it.
    pub(in crate::buying) worth: Worth,
    /// Whether it has no text, thought, refusal or tool call.
    pub(in crate::buying) is_empty: bool,
}

impl Answer {
    /// What it costs by its own usage and the prices at planning, never above what was in escrow; nothing where it does
    /// not say what it used.
    pub(in crate::buying) fn cost(&self) -> Xbzz {
        self.worth.stated.unwrap_or_default()
    }
}

/// Why there is no answer at a reference.
#[derive(Debug, thiserror::Error)]
pub(in crate::buying) enum AnswerError {
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
    pub(in crate::buying) fn offence(&self) -> Offence {
        match self {
            // What is larger than any answer is there, and none.
            Self::Fetch(CourierError::Swarm(SwarmError::TooLarge { .. })) => Offence::NoAnswer,
            Self::Fetch(_) => Offence::NotThere,
            Self::Sealed => Offence::Unreadable,
            Self::Malformed(_) | Self::Foreign | Self::Declined(_) => Offence::NoAnswer,
        }
    }
}

/// Where reading stopped. The parser's own words would quote the answer, which is nobody's to read in an error.
fn where_it_ends(error: &serde_json::Error) -> String {
    format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()).to_lowercase()
}

/// Fetches the answer at `reference` and checks that it answers this job and comes from its provider.
pub(in crate::buying) async fn fetch(
    courier: &dyn Courier,
    key: &SealingKey,
    (row, asked): (&BuyingJob, AskedFor),
    reference: SwarmRef,
    patience: Duration,
) -> Result<Answer, AnswerError> {
    let Fetched { sealed, share: _share } = courier.download_within(reference, patience).await?;
    check(row, asked, open(key, sealed)?)
}

/// Opens an answer; neither what was sealed nor what was opened is in memory after it, beside the answer itself.
fn open(key: &SealingKey, sealed: Bytes) -> Result<ResponsePayload, AnswerError> {
    let opened = key.open(&sealed).map_err(|_| AnswerError::Sealed)?;
    drop(sealed);
    ResponsePayload::parse(Bytes::from_owner(opened)).map_err(|error| match error {
        PayloadError::Malformed(error) => AnswerError::Malformed(where_it_ends(&error)),
        error => AnswerError::Malformed(error.to_string()),
    })
}

fn check(row: &BuyingJob, asked: AskedFor, payload: ResponsePayload) -> Result<Answer, AnswerError> {
    if payload.job_id != row.request_hash.routing_id() || payload.provider != row.provider {
        return Err(AnswerError::Foreign);
    }
    let shape = Shape::read(payload.openai_response.as_str())
        .map_err(|error| AnswerError::Malformed(where_it_ends(&error)))?;
    let (worth, choices, is_empty) =
        (worth(row, asked, &shape), shape.choices(), shape.is_empty(asked.tools));
    let usage = shape.usage().unwrap_or_default();
    if let Some(decline) = shape.error {
        return Err(AnswerError::Declined(decline));
    }
    if choices == 0 {
        return Err(AnswerError::Malformed("it has no choices".into()));
    }
    Ok(Answer { whole: payload.openai_response, usage, worth, is_empty })
}

/// How far beyond its estimate a prompt may lie for a claim to count as fair, in parts: tokenizers differ.
const FAIR_PROMPT: (u64, u64) = (3, 2);

/// What a provider may claim for an answer: a token has a byte at least, in the prompt as in the answer.
fn worth(row: &BuyingJob, asked: AskedFor, shape: &Shape<'_>) -> Worth {
    let cost = |usage| row.prices.cost(usage).unwrap_or(row.max_payment).min(row.max_payment);
    let most = TokenUsage { prompt: asked.most_prompt, completion: shape.most_tokens() };
    let usage = shape.usage();
    let believed = usage.map_or(most, |usage| TokenUsage {
        prompt: usage.prompt.min(most.prompt),
        completion: usage.completion.min(most.completion),
    });
    // A usage within the bounds that a price then makes dearer is judged by the price alone.
    let is_plausible = usage.is_none_or(|usage| usage == believed);
    let (times, parts) = FAIR_PROMPT;
    let fair = TokenUsage {
        prompt: believed.prompt.min(asked.prompt.saturating_mul(times) / parts),
        completion: believed.completion,
    };
    Worth {
        stated: usage.map(cost),
        fair: cost(fair),
        at_most: if is_plausible { cost(most) } else { cost(believed) },
        escrow: row.max_payment,
        price: row.prices.combined(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_text_stands_in_no_error() {
        let secret = r#"{"choices":"the whole secret answer"}"#;
        let Err(error) = Shape::read(secret) else { panic!("it is no answer") };
        assert!(!where_it_ends(&error).contains("secret"));
    }
}
