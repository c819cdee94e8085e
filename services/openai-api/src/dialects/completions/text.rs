//! `text_completion` objects, whole and as the chunks of a stream.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use t4t_types::{ModelId, TokenUsage, UnixSeconds};

use crate::dialects::chat::Answer;
use crate::dialects::dialect::Begun;
use crate::dialects::events::{DONE, event};
use crate::dialects::pieces::pieces;
use crate::unusable::UnusableAnswer;

/// The limit on the answer where an app states none, as OpenAI has it in this format.
pub(super) const DEFAULT_MAX_TOKENS: &str = "16";

/// What all objects of one answer share.
#[derive(Debug)]
pub(super) struct TextHead {
    id: String,
    created: UnixSeconds,
    model: ModelId,
    /// Whether a stream is to end with the usage.
    include_usage: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    id: &'a str,
    object: &'static str,
    created: UnixSeconds,
    model: &'a ModelId,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u64,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

/// A chunk of a chat, as far as it is text.
#[derive(Deserialize)]
struct WireChunk {
    #[serde(default)]
    choices: Vec<WireChoice>,
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(default)]
    index: u64,
    delta: Option<WireDelta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireDelta {
    content: Option<String>,
}

impl TextHead {
    pub(super) fn new(begun: &Begun, include_usage: bool) -> Self {
        let id = format!("cmpl-{}", &begun.id.to_string()[..32]);
        Self { id, created: begun.at, model: begun.model.clone(), include_usage }
    }

    fn object<'a>(&'a self, choices: &'a [Choice<'a>], usage: Option<&'a RawValue>) -> Text<'a> {
        let (id, created, model) = (&*self.id, self.created, &self.model);
        Text { id, object: "text_completion", created, model, choices, usage }
    }

    /// A whole answer: JSON.
    pub(super) fn whole(&self, answer: &Answer) -> String {
        let choices: Vec<_> = answer
            .choices
            .iter()
            .map(|choice| Choice {
                text: &choice.content,
                index: choice.index,
                logprobs: None,
                finish_reason: Some(&choice.finish_reason),
            })
            .collect();
        let object = self.object(&choices, answer.usage.as_deref());
        serde_json::to_string(&object).expect("texts and numbers are JSON")
    }

    fn event(&self, index: u64, text: &str, finish_reason: Option<&str>) -> Vec<u8> {
        event(&self.object(&[Choice { text, index, logprobs: None, finish_reason }], None))
    }

    fn end(&self, usage: Option<&RawValue>) -> Vec<u8> {
        let usage = usage.filter(|_| self.include_usage);
        let mut bytes = usage.map(|usage| event(&self.object(&[], Some(usage)))).unwrap_or_default();
        bytes.extend_from_slice(DONE);
        bytes
    }

    /// A whole answer as a stream.
    pub(super) fn pieces<'a>(&'a self, answer: &'a Answer) -> impl Iterator<Item = Vec<u8>> + Send + 'a {
        let choices = answer.choices.iter().flat_map(move |choice| {
            let texts = pieces(&choice.content).map(move |piece| self.event(choice.index, piece, None));
            texts.chain(std::iter::once_with(move || {
                self.event(choice.index, "", Some(&choice.finish_reason))
            }))
        });
        choices.chain(std::iter::once_with(|| self.end(answer.usage.as_deref())))
    }

    /// A chunk of a chat as chunks of texts.
    pub(super) fn chunk(&self, json: &str) -> Result<Bytes, UnusableAnswer> {
        let chunk: WireChunk = serde_json::from_str(json)?;
        let events = chunk.choices.iter().filter_map(|choice| {
            let text = choice.delta.as_ref().and_then(|delta| delta.content.as_deref()).unwrap_or_default();
            let says = !text.is_empty() || choice.finish_reason.is_some();
            says.then(|| self.event(choice.index, text, choice.finish_reason.as_deref()))
        });
        Ok(events.flatten().collect::<Vec<u8>>().into())
    }

    /// What follows the last chunk.
    pub(super) fn end_of_chunks(&self, usage: TokenUsage) -> Vec<u8> {
        let TokenUsage { prompt, completion } = usage;
        let total_tokens = prompt.saturating_add(completion);
        let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, total_tokens };
        self.end(to_raw_value(&usage).ok().as_deref())
    }
}
