//! The chunks of a stream: server-sent events of `chat.completion.chunk` objects.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use t4t_types::{ModelId, UnixSeconds};

use super::answer::{Answer, Choice, ToolCall};
use crate::dialects::events::{DONE, event};
use crate::dialects::pieces::pieces;

/// What all chunks of one stream share.
#[derive(Clone, Debug)]
pub(crate) struct ChunkHead {
    /// The completion's id.
    pub(crate) id: String,
    /// When the stream began.
    pub(crate) created: UnixSeconds,
    /// The model asked for.
    pub(crate) model: ModelId,
    /// Whether the usage was asked for: the chunks before it then say `null`.
    pub(crate) include_usage: bool,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: UnixSeconds,
    model: &'a ModelId,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<&'a RawValue>>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u64,
    delta: Delta<'a>,
    logprobs: Option<&'a RawValue>,
    finish_reason: Option<&'a str>,
}

/// What a chunk adds to a choice's message.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCallDelta<'a>; 1]>,
    #[serde(flatten)]
    rest: Option<&'a BTreeMap<String, Box<RawValue>>>,
}

#[derive(Debug, Serialize)]
struct ToolCallDelta<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionDelta<'a>>,
    #[serde(flatten)]
    rest: Option<&'a BTreeMap<String, Box<RawValue>>>,
}

#[derive(Debug, Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

impl<'a> Delta<'a> {
    /// The first delta of a choice.
    pub(crate) fn role() -> Self {
        Self { role: Some("assistant"), content: Some(""), ..Self::default() }
    }

    /// More text.
    pub(crate) fn content(text: &'a str) -> Self {
        Self { content: Some(text), ..Self::default() }
    }

    /// More reasoning.
    pub(crate) fn reasoning(text: &'a str) -> Self {
        Self { reasoning_content: Some(text), ..Self::default() }
    }

    fn tool_call(call: ToolCallDelta<'a>) -> Self {
        Self { tool_calls: Some([call]), ..Self::default() }
    }
}

impl ChunkHead {
    /// One chunk with one delta of one choice.
    pub(crate) fn delta(&self, index: u64, delta: Delta<'_>) -> Vec<u8> {
        self.chunk(&[ChunkChoice { index, delta, logprobs: None, finish_reason: None }], None)
    }

    /// The chunks of one choice of an answer, from its text on. `sent_role` says that the stream opened it already.
    pub(crate) fn choice<'a>(
        &'a self,
        choice: &'a Choice,
        sent_role: bool,
    ) -> impl Iterator<Item = Vec<u8>> + 'a {
        let delta = |delta| self.delta(choice.index, delta);
        let role = (!sent_role).then(|| delta(Delta::role()));
        let refusal = (!choice.refusal.is_empty())
            .then(|| delta(Delta { refusal: Some(&choice.refusal), ..Delta::default() }));
        let rest =
            (!choice.rest.is_empty()).then(|| delta(Delta { rest: Some(&choice.rest), ..Delta::default() }));
        role.into_iter()
            .chain(
                pieces(&choice.reasoning).map(move |piece| self.delta(choice.index, Delta::reasoning(piece))),
            )
            .chain(self.content(choice))
            .chain(refusal)
            .chain(rest)
            .chain(
                choice.tool_calls.iter().enumerate().flat_map(move |call| self.tool_call(choice.index, call)),
            )
            .chain(std::iter::once_with(|| self.finish(choice)))
    }

    /// The text. Log probabilities are listed by token, so with them it stays in one piece.
    fn content<'a>(&'a self, choice: &'a Choice) -> impl Iterator<Item = Vec<u8>> + 'a {
        let logprobs = choice.logprobs.as_deref();
        let whole = logprobs.map(|_| choice.content.as_str());
        let cut = pieces(if whole.is_some() { "" } else { &choice.content });
        whole.into_iter().chain(cut).map(move |piece| {
            let delta = Delta::content(piece);
            self.chunk(&[ChunkChoice { index: choice.index, delta, logprobs, finish_reason: None }], None)
        })
    }

    /// A tool call: its name first, then its arguments.
    fn tool_call(&self, choice: u64, (index, call): (usize, &ToolCall)) -> Vec<Vec<u8>> {
        let none = ToolCallDelta { index, id: None, kind: None, function: None, rest: None };
        let delta = |call| self.delta(choice, Delta::tool_call(call));
        match call {
            ToolCall::Other(rest) => vec![delta(ToolCallDelta { rest: Some(rest), ..none })],
            ToolCall::Function { id, name, arguments, rest } => {
                let function = |name, arguments| Some(FunctionDelta { name, arguments });
                let first = ToolCallDelta {
                    id: id.as_deref(),
                    kind: Some("function"),
                    function: function(Some(name.as_str()), ""),
                    rest: Some(rest),
                    ..none
                };
                let second = ToolCallDelta {
                    index,
                    id: None,
                    kind: None,
                    function: function(None, arguments.as_str()),
                    rest: None,
                };
                vec![delta(first), delta(second)]
            }
        }
    }

    fn finish(&self, choice: &Choice) -> Vec<u8> {
        self.finished(choice.index, &choice.finish_reason)
    }

    /// The end of a choice.
    pub(crate) fn finished(&self, index: u64, reason: &str) -> Vec<u8> {
        let (finish_reason, delta) = (Some(reason), Delta::default());
        self.chunk(&[ChunkChoice { index, delta, logprobs: None, finish_reason }], None)
    }

    /// What follows the last choice.
    pub(crate) fn end(&self, answer: &Answer) -> Vec<u8> {
        let mut bytes = answer.usage.as_deref().map(|usage| self.usage(usage)).unwrap_or_default();
        bytes.extend_from_slice(DONE);
        bytes
    }

    /// The usage, if it was asked for.
    pub(crate) fn usage(&self, usage: &RawValue) -> Vec<u8> {
        if self.include_usage { self.chunk(&[], Some(usage)) } else { Vec::new() }
    }

    fn chunk(&self, choices: &[ChunkChoice<'_>], usage: Option<&RawValue>) -> Vec<u8> {
        event(&Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(usage),
        })
    }
}
