//! A whole answer: one `chat.completion` object, read just enough to be cut into chunks.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::unusable::UnusableAnswer;

/// A field of an answer's message, as it came.
type Field<'a> = &'a RawValue;

/// A whole answer. It comes from a provider, so nothing in it is taken for granted.
#[derive(Debug)]
pub(crate) struct Answer {
    /// One or more choices.
    pub(crate) choices: Vec<Choice>,
    /// Tokens used, as the provider states them.
    pub(crate) usage: Option<Box<RawValue>>,
}

/// One choice of an answer.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Its place among the choices.
    pub(crate) index: u64,
    /// The text; empty if there is none.
    pub(crate) content: String,
    /// The model's reasoning; empty if there is none.
    pub(crate) reasoning: String,
    /// Why the model refused; empty if it did not.
    pub(crate) refusal: String,
    /// Tools to be called.
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Everything else in the message.
    pub(crate) rest: BTreeMap<String, Box<RawValue>>,
    /// Log probabilities, if they were asked for.
    pub(crate) logprobs: Option<Box<RawValue>>,
    /// Why the answer ends here.
    pub(crate) finish_reason: String,
}

/// A tool to be called.
#[derive(Debug)]
pub(crate) enum ToolCall {
    /// A function.
    Function {
        /// What the app names in its reply; `None` if the backend left it out.
        id: Option<String>,
        /// Which function.
        name: String,
        /// Its arguments: JSON in a string.
        arguments: String,
        /// What stands beside it, such as a signature that the model wants back.
        rest: BTreeMap<String, Box<RawValue>>,
    },
    /// Something else, passed on as it came.
    Other(BTreeMap<String, Box<RawValue>>),
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    choices: Vec<WireChoice<'a>>,
    #[serde(borrow)]
    usage: Option<Field<'a>>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    message: BTreeMap<String, Field<'a>>,
    #[serde(borrow)]
    logprobs: Option<Field<'a>>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<Field<'a>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is not a chat completion, or has no choices.
    pub(crate) fn parse(json: &str) -> Result<Self, UnusableAnswer> {
        let wire: WireAnswer<'_> = serde_json::from_str(json)?;
        if wire.choices.is_empty() {
            return Err(UnusableAnswer::Empty);
        }
        let choices = wire.choices.into_iter().zip(0..).map(|(choice, place)| choice.read(place));
        let mut choices = choices.collect::<Result<Vec<_>, serde_json::Error>>()?;
        number(&mut choices);
        Ok(Self { choices, usage: wire.usage.map(RawValue::to_owned) })
    }
}

/// Numbers the choices by their places, unless they are numbered without a gap and a repetition already.
fn number(choices: &mut [Choice]) {
    let mut indices: Vec<_> = choices.iter().map(|choice| choice.index).collect();
    indices.sort_unstable();
    if indices.into_iter().eq((0..).take(choices.len())) {
        return;
    }
    for (choice, place) in choices.iter_mut().zip(0..) {
        choice.index = place;
    }
}

impl WireChoice<'_> {
    fn read(mut self, place: u64) -> Result<Choice, serde_json::Error> {
        self.message.remove("role");
        self.message.retain(|_, field| field.get() != "null");
        let content = self.message.remove("content").map(content).transpose()?;
        let reasoning = self.message.remove("reasoning_content");
        // Ollama's name for the same.
        let reasoning = reasoning.or(self.message.remove("reasoning")).map(text).transpose()?;
        let refusal = self.message.remove("refusal").map(text).transpose()?;
        let tool_calls = self.message.remove("tool_calls").map(tool_calls).transpose()?.unwrap_or_default();
        // A stream that ends without a reason breaks apps.
        let default_reason = if tool_calls.is_empty() { "stop" } else { "tool_calls" };
        Ok(Choice {
            index: self.index.unwrap_or(place),
            content: content.unwrap_or_default(),
            reasoning: reasoning.unwrap_or_default(),
            refusal: refusal.unwrap_or_default(),
            tool_calls,
            rest: owned(self.message),
            logprobs: self.logprobs.map(RawValue::to_owned),
            finish_reason: self.finish_reason.unwrap_or_else(|| default_reason.into()),
        })
    }
}

fn owned(fields: BTreeMap<String, Field<'_>>) -> BTreeMap<String, Box<RawValue>> {
    fields.into_iter().map(|(name, field)| (name, field.to_owned())).collect()
}

fn text(field: Field<'_>) -> Result<String, serde_json::Error> {
    serde_json::from_str(field.get())
}

/// The text of a content that is a string or an array of parts.
fn content(field: Field<'_>) -> Result<String, serde_json::Error> {
    if !field.get().starts_with('[') {
        return text(field);
    }
    let parts: Vec<Part> = serde_json::from_str(field.get())?;
    Ok(parts.into_iter().filter_map(|part| part.text).collect())
}

fn tool_calls(field: Field<'_>) -> Result<Vec<ToolCall>, serde_json::Error> {
    let calls: Vec<BTreeMap<String, Field<'_>>> = serde_json::from_str(field.get())?;
    calls.into_iter().map(tool_call).collect()
}

fn tool_call(mut fields: BTreeMap<String, Field<'_>>) -> Result<ToolCall, serde_json::Error> {
    fields.remove("index");
    fields.retain(|_, field| field.get() != "null");
    let Some(function) = fields.remove("function") else { return Ok(ToolCall::Other(owned(fields))) };
    fields.remove("type");
    let function: WireFunction<'_> = serde_json::from_str(function.get())?;
    Ok(ToolCall::Function {
        id: fields.remove("id").map(text).transpose()?,
        name: function.name,
        arguments: function.arguments.map(arguments).transpose()?.unwrap_or_default(),
        rest: owned(fields),
    })
}

/// Arguments are JSON in a string; some backends send the JSON itself.
fn arguments(field: Field<'_>) -> Result<String, serde_json::Error> {
    if field.get().starts_with('"') { text(field) } else { Ok(field.get().to_owned()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn choice(message: &str) -> Choice {
        let json = format!(r#"{{"choices":[{{"message":{message}}}]}}"#);
        Answer::parse(&json).unwrap().choices.remove(0)
    }

    #[test]
    fn a_missing_finish_reason_and_index_are_filled_in() {
        assert_eq!(choice(r#"{"content":"hi"}"#).finish_reason, "stop");
        let call = r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}"#;
        assert_eq!(choice(call).finish_reason, "tool_calls");
        assert_eq!(choice(call).index, 0);
    }

    #[test]
    fn choices_with_gaps_or_repetitions_are_numbered_afresh() {
        let indices = |given: [u64; 2]| {
            let choice = |index| format!(r#"{{"index":{index},"message":{{}}}}"#);
            let json = format!(r#"{{"choices":[{},{}]}}"#, choice(given[0]), choice(given[1]));
            let answer = Answer::parse(&json).unwrap();
            answer.choices.iter().map(|choice| choice.index).collect::<Vec<_>>()
        };
        assert_eq!(indices([1, 0]), [1, 0]);
        assert_eq!(indices([1, 2]), [0, 1]);
        assert_eq!(indices([0, 0]), [0, 1]);
    }

    #[test]
    fn content_in_parts_and_reasoning_under_either_name_are_read() {
        let read =
            choice(r#"{"content":[{"type":"text","text":"a"},{"type":"x"},{"text":"b"}],"reasoning":"r"}"#);
        assert_eq!((read.content.as_str(), read.reasoning.as_str()), ("ab", "r"));
        assert_eq!(choice(r#"{"content":null,"reasoning_content":"q"}"#).reasoning, "q");
    }

    #[test]
    fn unknown_fields_of_a_message_are_kept() {
        let read = choice(r#"{"role":"assistant","content":"x","audio":null,"annotations":[1.50]}"#);
        assert_eq!(read.rest.len(), 1);
        assert_eq!(read.rest["annotations"].get(), "[1.50]");
    }

    #[test]
    fn arguments_that_are_not_a_string_become_one() {
        let read = choice(r#"{"tool_calls":[{"id":"c","function":{"name":"f","arguments":{"a":1}}}]}"#);
        assert!(
            matches!(&read.tool_calls[0], ToolCall::Function { arguments, .. } if arguments == r#"{"a":1}"#)
        );
    }

    #[test]
    fn what_is_no_chat_completion_is_refused() {
        let bad = [
            "null",
            "[]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{}]}"#,
            r#"{"choices":[{"message":{"content":5}}]}"#,
            r#"{"choices":[{"index":-1,"message":{}}]}"#,
            r#"{"error":{"message":"out of memory"}}"#,
        ];
        for json in bad {
            assert!(Answer::parse(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_or_refused(field in "(content|tool_calls|refusal)", value in "\\PC{0,40}") {
            let json = format!(r#"{{"choices":[{{"message":{{"{field}":{value}}}}}]}}"#);
            let _: Result<Answer, UnusableAnswer> = Answer::parse(&json);
        }
    }
}
