//! The whole answer, put together from a stream's chunks or taken from one piece.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use t4t_inference::MAX_CHOICES;

use crate::choice::Choice;
use crate::metering::DeltaSize;
use crate::weight;

/// Fields of a chunk that belong to the stream and not to the answer. An answer has no error, not even one that is none.
const OWN_FIELDS: [&str; 4] = ["choices", "object", "usage", "error"];

/// Why a chunk can't belong to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// The chunk has more choices than can be asked for.
    #[error("the answer has more than {MAX_CHOICES} choices")]
    TooManyChoices,
    /// A choice has more tool calls than it can use.
    #[error("the answer has too many tool calls")]
    TooManyToolCalls,
    /// A choice ends with an error.
    #[error("the answer ended with an error")]
    Broken,
}

/// An answer while it comes.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    fields: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    usage: Option<Value>,
    kept_bytes: usize,
}

/// What an answer gets where the backend left it out.
#[derive(Debug)]
pub(crate) struct Defaults {
    /// The answer's id.
    pub(crate) id: String,
    /// When it was made, in seconds since 1970.
    pub(crate) created: u64,
    /// The model's name.
    pub(crate) model: String,
}

impl Assembly {
    /// Adds a chunk or a whole answer, and says what each of its choices adds.
    pub(crate) fn add(&mut self, mut chunk: Map<String, Value>) -> Result<Vec<DeltaSize>, Nonsense> {
        let choices = chunk.remove("choices");
        if let Some(usage) = chunk.remove("usage").filter(Value::is_object)
            && tokens_of(&usage) >= self.usage.as_ref().and_then(tokens_of)
        {
            self.usage = Some(usage);
        }
        self.keep(&chunk);
        let choices = choices.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let choices = choices.iter().filter_map(Value::as_object).enumerate();
        choices.map(|(position, choice)| self.add_choice(position, choice)).collect()
    }

    /// The model that the backend says it answers with.
    pub(crate) fn model(&self) -> Option<&str> {
        self.fields.get("model").and_then(Value::as_str).filter(|model| !model.is_empty())
    }

    /// Keeps the first id and time, and the last of everything else.
    fn keep(&mut self, chunk: &Map<String, Value>) {
        for (field, value) in chunk {
            let is_first_kept = matches!(field.as_str(), "id" | "created" | "model");
            if OWN_FIELDS.contains(&field.as_str()) || (is_first_kept && self.fields.contains_key(field)) {
                continue;
            }
            if !value.is_null() {
                self.kept_bytes += weight::set(&mut self.fields, field, value);
            }
        }
    }

    fn add_choice(&mut self, position: usize, choice: &Map<String, Value>) -> Result<DeltaSize, Nonsense> {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
        let is_new = !self.choices.contains_key(&index);
        if is_new && self.choices.len() as u64 >= MAX_CHOICES {
            return Err(Nonsense::TooManyChoices);
        }
        let mut size = DeltaSize { new_choice: is_new, ..DeltaSize::default() };
        let entry = self.choices.entry(index).or_default();
        self.kept_bytes += entry.add(choice, &mut size).map_err(|_| Nonsense::TooManyToolCalls)?;
        if entry.is_broken() { Err(Nonsense::Broken) } else { Ok(size) }
    }

    /// Whether at least `expected` choices began and all of them ended.
    pub(crate) fn is_finished(&self, expected: u64) -> bool {
        self.choices.len() as u64 >= expected.max(1) && self.choices.values().all(Choice::is_finished)
    }

    /// Whether anything was answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Whether there is anything in it that somebody could use.
    pub(crate) fn says_something(&self) -> bool {
        self.choices.values().any(Choice::says_something)
    }

    /// Bytes that the answer has so far.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The largest usage that the backend reported: some count up in each chunk, and some end with zeros.
    pub(crate) fn usage(&self) -> Option<&Value> {
        self.usage.as_ref()
    }

    /// The answer as one `chat.completion` object, and the usage that the backend reported. Choices without an end are
    /// given `cut` as their reason, or what fits them.
    pub(crate) fn into_response(
        self,
        cut: Option<&'static str>,
        defaults: Defaults,
    ) -> (Map<String, Value>, Option<Value>) {
        let mut response = self.fields;
        response.insert("object".into(), "chat.completion".into());
        response.entry("id").or_insert_with(|| defaults.id.into());
        response.entry("created").or_insert_with(|| defaults.created.into());
        response.entry("model").or_insert_with(|| defaults.model.into());
        let choices = self.choices.into_iter().map(|(index, choice)| choice.into_json(index, cut));
        response.insert("choices".into(), choices.collect());
        (response, self.usage)
    }
}

/// How much a usage states; the later one of two that state the same counts.
fn tokens_of(usage: &Value) -> Option<u64> {
    usage.get("completion_tokens").and_then(Value::as_u64)
}

/// Whether it is a whole answer and not a stream's chunk.
pub(crate) fn is_whole(fields: &Map<String, Value>) -> bool {
    let choices = fields.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    choices
        .iter()
        .any(|choice| choice.get("message").is_some_and(Value::is_object) && choice.get("delta").is_none())
}

/// A whole answer as the one chunk of a stream.
pub(crate) fn as_chunk(answer: &Map<String, Value>) -> Value {
    let mut chunk = answer.clone();
    chunk.insert("object".into(), "chat.completion.chunk".into());
    for choice in chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(choice) = choice.as_object_mut() else { continue };
        if choice.contains_key("delta") {
            continue;
        }
        if let Some(mut message) = choice.remove("message") {
            number_tool_calls(&mut message);
            choice.insert("delta".into(), message);
        }
    }
    Value::Object(chunk)
}

/// A stream's tool calls have an index, an answer's have none.
fn number_tool_calls(message: &mut Value) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, call) in calls.filter_map(Value::as_object_mut).enumerate() {
        call.insert("index".into(), index.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use t4t_types::TokenUsage;

    use super::*;

    fn assembled(chunks: &[Value], cut: Option<&'static str>) -> Value {
        let mut assembly = Assembly::default();
        for chunk in chunks {
            assembly.add(chunk.as_object().unwrap().clone()).unwrap();
        }
        let defaults = Defaults { id: "own".into(), created: 7, model: "m".into() };
        let (mut response, usage) = assembly.into_response(cut, defaults);
        let billed = TokenUsage { prompt: 3, completion: 2 };
        response.insert("usage".into(), crate::finishing::usage(usage, billed));
        Value::Object(response)
    }

    #[test]
    fn a_stream_becomes_the_answer_it_stands_for() {
        let chunks = [
            json!({"id": "x", "object": "chat.completion.chunk", "created": 5, "model": "b", "system_fingerprint": "fp",
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "reasoning_content": "hm"}, "finish_reason": null}]}),
            json!({"id": "x", "created": 6, "model": "b", "choices": [{"index": 0, "delta": {"content": "he"},
                "logprobs": {"content": [{"token": "he"}]}}]}),
            json!({"id": "x", "choices": [{"index": 0, "delta": {"content": "llo"}, "logprobs": {"content": [{"token": "llo"}]}}]}),
            json!({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}, "timings": {"n": 1}}),
        ];
        let expected = json!({"id": "x", "object": "chat.completion", "created": 5, "model": "b", "system_fingerprint": "fp",
            "timings": {"n": 1},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello", "reasoning_content": "hm"},
                "logprobs": {"content": [{"token": "he"}, {"token": "llo"}]}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}}});
        assert_eq!(assembled(&chunks, None), expected);
    }

    #[test]
    fn interleaved_choices_stay_apart() {
        let chunk =
            |index: u64, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}}]});
        let answer = assembled(&[chunk(1, "b"), chunk(0, "a"), chunk(1, "B"), chunk(0, "A")], Some("length"));
        let texts: Vec<&Value> = (0..2).map(|at| &answer["choices"][at]["message"]["content"]).collect();
        assert_eq!(texts, [&json!("aA"), &json!("bB")]);
        assert_eq!(answer["choices"][1]["finish_reason"], "length");
        assert_eq!(
            (&answer["id"], &answer["created"], &answer["model"]),
            (&json!("own"), &json!(7), &json!("m"))
        );
    }

    #[test]
    fn an_answer_in_one_piece_survives_as_it_is() {
        let whole = json!({"id": "x", "object": "chat.completion", "created": 5, "model": "b", "service_tier": "s",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "logprobs": null, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}});
        assert_eq!(assembled(std::slice::from_ref(&whole), None), whole);
        let chunk = as_chunk(whole.as_object().unwrap());
        assert_eq!(assembled(&[chunk], None), whole);
    }

    #[test]
    fn choices_without_end_are_refused() {
        let choices: Vec<Value> = (0..200).map(|index| json!({"index": index, "delta": {}})).collect();
        let chunk = json!({"choices": choices});
        let refused = Assembly::default().add(chunk.as_object().unwrap().clone());
        assert_eq!(refused, Err(Nonsense::TooManyChoices));
    }
}
