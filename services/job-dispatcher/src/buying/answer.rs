//! Fetching, opening and checking an answer.

use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use t4t_api::job_dispatcher::BuyingError;
use t4t_crypto::SealingKey;
use t4t_inference::Refusal;
use t4t_json::JsonText;
use t4t_protocol::{PayloadError, ResponsePayload};
use t4t_store::buying::BuyingJob;
use t4t_swarm::SwarmError;
use t4t_types::{SwarmRef, TokenUsage, Xbzz};

use super::shape::Shape;
use super::trust::{Offence, Worth};
use crate::carriage::{Courier, CourierError, Fetched};

/// What of a request an answer is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedFor {
    /// Tokens that its prompt is estimated at.
    pub(super) prompt: u64,
    /// The most tokens that its prompt can have.
    pub(super) most_prompt: u64,
    /// Whether it has tools that may be called.
    pub(super) tools: bool,
}

/// An answer that was checked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) whole: JsonText,
    /// What it says that it used; nothing where it does not say.
    pub(super) usage: TokenUsage,
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

/// A provider's word for why it did not answer, in the form of an OpenAI error: read as far as it is one, and bounded.
#[derive(Clone, Debug)]
pub(super) struct Decline(Refusal);

impl<'de> Deserialize<'de> for Decline {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Some peers write numbers where others write texts; a refusal that can't be read is still one.
        let said = Value::deserialize(deserializer)?;
        let text = |field: &str| said.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| said.get(field).and_then(Value::as_u64);
        let status =
            number("status").or_else(|| number("code")).and_then(|status| u16::try_from(status).ok());
        let refusal = Refusal {
            message: text("message").or_else(|| said.as_str().map(str::to_owned)).unwrap_or_default(),
            kind: text("type"),
            param: text("param"),
            code: text("code"),
            status,
            retry_after: number("retry_after"),
        };
        Ok(Self(refusal.bounded()))
    }
}

impl std::fmt::Display for Decline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = &self.0.message;
        f.write_str(if message.trim().is_empty() { "it refused the job" } else { message })
    }
}

impl Decline {
    /// Whether it says that the request is at fault: then a second provider is asked, and no third.
    pub(super) fn blames_request(&self) -> bool {
        self.0.blames_request()
    }

    /// The error for the app, if the request itself is said to be at fault: it is told once a second provider says so,
    /// or if there is none.
    pub(super) fn as_bad_request(&self) -> Option<BuyingError> {
        self.blames_request().then(|| BuyingError::Refused { refusal: Box::new(self.clone().into_refusal()) })
    }

    /// What the app is told if no other provider does better, where there is more to tell than that it failed: a status,
    /// such as 429 or 503, with the time after which to try again.
    pub(super) fn as_last_word(&self) -> Option<BuyingError> {
        self.0.tells_app().then(|| BuyingError::Refused { refusal: Box::new(self.clone().into_refusal()) })
    }

    /// The same, as it goes to the app.
    pub(super) fn into_refusal(self) -> Refusal {
        Refusal { message: self.to_string(), ..self.0 }
    }
}

/// Where reading stopped. The parser's own words would quote the answer, which is nobody's to read in an error.
fn where_it_ends(error: &serde_json::Error) -> String {
    format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column()).to_lowercase()
}

/// Fetches the answer at `reference` and checks that it answers this job and comes from its provider.
pub(super) async fn fetch(
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
    use serde_json::json;

    use super::*;

    fn decline(error: Value) -> Decline {
        serde_json::from_value(error).unwrap()
    }

    #[test]
    fn of_a_providers_words_500_characters_are_kept_on_one_line() {
        let long = format!("first\r\nsecond\u{1b}[31m{}", "ä".repeat(1_000_000));
        let kept = decline(json!({"message": long, "type": "server_error"})).to_string();
        assert!(kept.starts_with("firstsecond[31mää"), "{kept}");
        assert_eq!(kept.chars().count(), 500);
        assert_eq!(decline(json!({"message": "\n\t \0"})).to_string(), "it refused the job");
        assert_eq!(decline(json!(7)).to_string(), "it refused the job");
    }

    #[test]
    fn a_backends_status_code_param_and_time_to_wait_survive() {
        let said = json!({"message": "too long", "type": "invalid_request_error", "param": "messages",
            "code": "context_length_exceeded", "status": 413});
        let Some(BuyingError::Refused { refusal }) = decline(said).as_bad_request() else { panic!() };
        assert_eq!((refusal.status, refusal.code.as_deref()), (Some(413), Some("context_length_exceeded")));
        assert_eq!(refusal.param.as_deref(), Some("messages"));
        let busy =
            decline(json!({"message": "slow down", "type": "rate_limit", "status": 429, "retry_after": 2}));
        assert!(!busy.blames_request() && busy.as_bad_request().is_none());
        let Some(BuyingError::Refused { refusal }) = busy.as_last_word() else { panic!() };
        assert_eq!((refusal.status, refusal.retry_after), (Some(429), Some(2)));
        assert!(decline(json!({"message": "it failed", "type": "server_error"})).as_last_word().is_none());
    }

    #[test]
    fn a_refusal_of_a_peer_that_knows_no_status_is_400_if_it_blames_the_request() {
        let old =
            decline(json!({"message": "no", "type": "invalid_request_error", "param": null, "code": null}));
        assert_eq!(old.clone().into_refusal().status, Some(400));
        assert!(old.blames_request());
        let numbers = decline(json!({"message": "no", "type": 7, "code": 503}));
        assert_eq!((numbers.blames_request(), numbers.into_refusal().status), (false, Some(503)));
    }

    #[test]
    fn what_reaches_the_app_of_a_refusal_is_bounded_too() {
        let long = "x\n".repeat(10_000);
        let said = decline(json!({"message": long, "type": "invalid_request_error", "param": long}));
        let refusal = said.into_refusal();
        assert_eq!((refusal.message.len(), refusal.param.unwrap().len()), (500, 100));
    }

    #[test]
    fn an_answers_text_stands_in_no_error() {
        let secret = r#"{"choices":"the whole secret answer"}"#;
        let Err(error) = Shape::read(secret) else { panic!("it is no answer") };
        assert!(!where_it_ends(&error).contains("secret"));
    }
}
