//! An inference request: its bytes as they came, and what everybody needs to know of it.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use t4t_json::{Change, JsonText, Members};

use crate::asked::{Asked, RequestFault};
use crate::estimate::PromptSize;
use crate::kind::Kind;

/// What of a request decides what it may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Tokens the prompt is estimated at.
    pub prompt: u64,
    /// The request's own limit on all its answers together, in tokens.
    pub output: Option<u64>,
}

/// A request that was read once. A clone shares everything.
///
/// It travels between services as `{"kind", "request"}`, and whoever takes it reads it again: it may come from a
/// stranger.
#[derive(Clone, Debug)]
pub struct InferenceRequest {
    kind: Kind,
    json: JsonText,
    facts: Arc<Facts>,
}

/// What was read.
#[derive(Debug)]
struct Facts {
    model: Option<String>,
    has_tools: bool,
    asked: Asked,
    output: Option<u64>,
    prompt: PromptSize,
}

impl InferenceRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`RequestFault`] for what is not JSON, for what two readers could understand differently, and for numbers that
    /// are none.
    pub fn read(kind: Kind, bytes: Bytes) -> Result<Self, RequestFault> {
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| RequestFault::unreadable(&error))?;
        let json = JsonText::read_before(bytes).map_err(|_| RequestFault::not_text())?;
        let raw: &RawValue =
            serde_json::from_str(json.as_str()).map_err(|error| RequestFault::unreadable(&error))?;
        let asked = Asked::read(raw)?;
        let output = match asked.max_tokens {
            // The limit is each choice's, and all of them are paid for.
            Some(limit) => Some(limit.checked_mul(asked.choices).ok_or_else(RequestFault::beyond_counting)?),
            None => None,
        };
        let facts = Facts {
            has_tools: ["tools", "functions"].iter().any(|field| value.get(field).is_some_and(is_some_list)),
            model: value.get("model").and_then(Value::as_str).map(str::to_owned),
            prompt: PromptSize::of(json.as_str().len(), &value),
            asked,
            output,
        };
        Ok(Self { kind, json, facts: Arc::new(facts) })
    }

    /// The request with `stream: false` and without `stream_options`, as version 1 carries it; all else stays letter for
    /// letter and in its order.
    pub fn without_streaming(&self) -> JsonText {
        let members = Members::read(self.json.as_str()).expect("it was read before");
        let change = |name: &str, _: &RawValue| match name {
            "stream" | "stream_options" => Change::Drop,
            _ => Change::Keep,
        };
        let text = members.rewritten(change, [("stream", "false".to_owned())]);
        JsonText::read_before(text.into()).expect("a string is text")
    }

    /// Whether it has tools that may be called.
    pub fn has_tools(&self) -> bool {
        self.facts.has_tools
    }

    /// What it asks for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The request as it came.
    pub fn json(&self) -> &JsonText {
        &self.json
    }

    /// The model that it names.
    pub fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    /// How many answers it asks for: at least 1 and at most [`crate::MAX_CHOICES`].
    pub fn choices(&self) -> u64 {
        self.facts.asked.choices
    }

    /// The request's own limit on each answer, in tokens.
    pub fn max_tokens(&self) -> Option<u64> {
        self.facts.asked.max_tokens
    }

    /// What decides what it may cost.
    pub fn demand(&self) -> Demand {
        Demand { prompt: self.facts.prompt.estimate, output: self.facts.output }
    }

    /// The tokens that its prompt has by a quarter of its characters, where nobody counted them.
    pub fn likely_prompt_tokens(&self) -> u64 {
        self.facts.prompt.likely
    }

    /// The most tokens that its prompt can have: a provider bills no more, and a gateway takes no more for honest.
    pub fn most_prompt_tokens(&self) -> u64 {
        self.facts.prompt.most
    }

    /// The first part or tool for which a backend would have to fetch something, or that nobody knows; only a backend
    /// whose operator allows it is given such a request.
    pub fn foreign_media(&self) -> Option<&RequestFault> {
        self.facts.asked.foreign_media.as_ref()
    }
}

fn is_some_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

#[derive(Serialize, Deserialize)]
struct Travelling {
    kind: Kind,
    request: JsonText,
}

impl Serialize for InferenceRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Travelling { kind: self.kind, request: self.json.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InferenceRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Travelling { kind, request } = Travelling::deserialize(deserializer)?;
        Self::read(kind, request.bytes().clone()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_travels_as_it_was_written_and_is_read_again() {
        let text =
            r#"{"model":"m", "n":2,"max_tokens":5,"messages":[{"role":"user","content":"hi"}],"x":1.50}"#;
        let request = InferenceRequest::read(Kind::Chat, Bytes::from_static(text.as_bytes())).unwrap();
        assert_eq!((request.model(), request.choices(), request.max_tokens()), (Some("m"), 2, Some(5)));
        assert_eq!(request.demand(), Demand { prompt: 256, output: Some(10) });
        let travelled: InferenceRequest =
            serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(travelled.json().as_str(), text);
        assert_eq!(travelled.demand(), request.demand());
        assert!(serde_json::from_str::<InferenceRequest>(r#"{"kind":"chat","request":{"n":0}}"#).is_err());
    }

    #[test]
    fn only_streaming_is_taken_out_of_the_request() {
        let text = r#"{"model":"m","stream":true,"temperature":1.0,"stream_options":{"include_usage":true},"seed":12345678901234567890123}"#;
        let request = InferenceRequest::read(Kind::Chat, Bytes::from_static(text.as_bytes())).unwrap();
        let expected = r#"{"model":"m","temperature":1.0,"seed":12345678901234567890123,"stream":false}"#;
        assert_eq!(request.without_streaming().as_str(), expected, "numbers keep their digits");
    }
}
