//! The whole answer, put together from a stream's chunks or taken from one piece.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::choice::Choice;
use super::chunk::ChatChunk;
use super::delta::ChoicePart;
use super::footprint;
use super::lenient::Found;
use super::size::DeltaSize;
use crate::limits::MAX_CHOICES;

/// Fields of which the first counts; of all others the last one does.
const FIRST_KEPT: [&str; 3] = ["id", "created", "model"];

/// Why a chunk can't belong to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableChunk {
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
pub struct Assembly {
    fields: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    usage: Option<Value>,
    kept_bytes: usize,
}

/// What an answer gets where the backend left it out.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The answer's id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The model's name.
    pub model: String,
}

impl Assembly {
    /// Adds a chunk or a whole answer; `count` is told what each of its choices adds.
    ///
    /// # Errors
    /// [`UnusableChunk`]; the answer is of no use from there on.
    pub fn add(
        &mut self,
        chunk: ChatChunk<'_>,
        mut count: impl FnMut(&DeltaSize),
    ) -> Result<(), UnusableChunk> {
        if let Some(usage) = chunk.usage
            && tokens_of(&usage) >= self.usage.as_ref().and_then(tokens_of)
        {
            self.usage = Some(usage);
        }
        for (field, value) in chunk.others.into_iter() {
            self.keep(&field, value);
        }
        for (position, choice) in chunk.choices.into_iter().enumerate() {
            count(&self.add_choice(position, choice)?);
        }
        Ok(())
    }

    /// The model that the backend says it answers with.
    pub fn model(&self) -> Option<&str> {
        self.fields.get("model").and_then(Value::as_str).filter(|model| !model.is_empty())
    }

    fn keep(&mut self, field: &str, value: Found<'_>) {
        let known = self.fields.get(field);
        let is_kept = FIRST_KEPT.contains(&field) && known.is_some();
        let is_same = known.is_some_and(|known| known.as_str().is_some() && known.as_str() == value.as_str());
        if !is_kept && !is_same {
            self.kept_bytes += footprint::set(&mut self.fields, field, value.into_value());
        }
    }

    fn add_choice(&mut self, position: usize, choice: ChoicePart<'_>) -> Result<DeltaSize, UnusableChunk> {
        let index = choice.index.unwrap_or(position as u64);
        let is_new = !self.choices.contains_key(&index);
        if is_new && self.choices.len() as u64 >= MAX_CHOICES {
            return Err(UnusableChunk::TooManyChoices);
        }
        let mut size = DeltaSize { new_choice: is_new, ..DeltaSize::default() };
        let entry = self.choices.entry(index).or_default();
        let grown = entry.add(choice, &mut size).map_err(|_| UnusableChunk::TooManyToolCalls)?;
        self.kept_bytes = self.kept_bytes.saturating_add(grown);
        if entry.is_broken() { Err(UnusableChunk::Broken) } else { Ok(size) }
    }

    /// Whether at least `expected` choices began and all of them ended.
    pub fn is_finished(&self, expected: u64) -> bool {
        self.choices.len() as u64 >= expected.max(1) && self.choices.values().all(Choice::is_finished)
    }

    /// Whether anything was answered.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Whether there is anything in it that somebody could use.
    pub fn says_something(&self) -> bool {
        self.choices.values().any(Choice::says_something)
    }

    /// Bytes that the answer has so far.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The largest usage that the backend reported: some count up in each chunk, and some end with zeros.
    pub fn usage(&self) -> Option<&Value> {
        self.usage.as_ref()
    }

    /// The answer as one `chat.completion` object, and the usage that the backend reported. Choices without an end are
    /// given `cut` as their reason, or what fits them.
    pub fn into_response(
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::answer::as_chunk;

    fn assembled(chunks: &[Value], cut: Option<&'static str>) -> Value {
        let mut assembly = Assembly::default();
        for chunk in chunks {
            assembly.add(ChatChunk::read(&chunk.to_string()).unwrap(), |_| ()).unwrap();
        }
        let defaults = Defaults { id: "own".into(), created: 7, model: "m".into() };
        let (mut response, usage) = assembly.into_response(cut, defaults);
        response.extend(usage.map(|usage| ("usage".to_owned(), usage)));
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
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}});
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
        let chunk: Value = serde_json::from_str(&as_chunk(&whole.to_string()).unwrap()).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(assembled(&[chunk], None), whole);
    }

    #[test]
    fn choices_without_end_are_refused() {
        let choices: Vec<Value> = (0..200).map(|index| json!({"index": index, "delta": {}})).collect();
        let chunk = json!({"choices": choices});
        let refused = Assembly::default().add(ChatChunk::read(&chunk.to_string()).unwrap(), |_| ());
        assert_eq!(refused, Err(UnusableChunk::TooManyChoices));
    }
}
