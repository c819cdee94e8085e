//! One choice of an answer, put together from its deltas.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::calls::{FunctionPart, TooManyCalls, ToolCalls};
use super::delta::{ChoicePart, Delta};
use super::ending::{self, Ending};
use super::fields::MESSAGE_TEXTS;
use super::footprint;
use super::lenient::{Found, Others};
use super::parts::{Parts, text_in};
use super::size::DeltaSize;

/// A choice while it comes.
#[derive(Debug, Default)]
pub(super) struct Choice {
    message: Map<String, Value>,
    tool_calls: ToolCalls,
    function_call: Option<(String, String)>,
    logprobs: Option<Map<String, Value>>,
    finish_reason: Option<&'static str>,
    is_broken: bool,
    other: Map<String, Value>,
}

impl Choice {
    /// Adds a chunk's choice (`delta`) or an answer's (`message`); measures its text into `size` and returns the bytes
    /// that the answer grew by.
    pub(super) fn add(&mut self, part: ChoicePart<'_>, size: &mut DeltaSize) -> Result<usize, TooManyCalls> {
        let mut beside_text = 0;
        for delta in [part.delta, part.message].into_iter().flatten() {
            beside_text += self.add_delta(delta, size)?;
        }
        if let Some(text) = part.text.filter(|_| !part.has_delta) {
            self.add_text("content", &text, size);
        }
        match part.finish_reason.map_or(Ending::NotYet, |reason| ending::read(&reason)) {
            Ending::NotYet => {}
            Ending::Because(reason) => self.finish_reason = Some(reason),
            Ending::Broken => self.is_broken = true,
        }
        self.is_broken |= part.is_error;
        if let Some(logprobs) = part.logprobs {
            beside_text += append_all(self.logprobs.get_or_insert_default(), logprobs);
        }
        for (field, value) in part.others.into_iter() {
            beside_text += footprint::set(&mut self.other, &field, value.into_value());
        }
        Ok(beside_text.saturating_add(usize::try_from(size.bytes).unwrap_or(usize::MAX)))
    }

    fn add_delta(&mut self, delta: Delta<'_>, size: &mut DeltaSize) -> Result<usize, TooManyCalls> {
        let mut beside_text = self.tool_calls.merge(delta.tool_calls, size)?;
        if let Some(call) = &delta.function_call {
            self.add_function_call(call, size);
        }
        beside_text += self.add_texts(delta.texts, size);
        Ok(beside_text + self.add_others(delta.others))
    }

    fn add_texts(&mut self, texts: [Found<'_>; MESSAGE_TEXTS.len()], size: &mut DeltaSize) -> usize {
        let mut beside_text = 0;
        let mut thought = Found::Nothing;
        for (field, piece) in MESSAGE_TEXTS.into_iter().zip(texts) {
            match (field, &piece) {
                (_, Found::Nothing) => {}
                // Some backends send the same reasoning under its old and its new name.
                ("reasoning", again) if *again == thought => {
                    let mut unmeasured = DeltaSize::default();
                    self.add_text(field, &text_of(again), &mut unmeasured);
                    beside_text += usize::try_from(unmeasured.bytes).unwrap_or(usize::MAX / 4);
                }
                ("content", Found::Other(parts)) => beside_text += self.add_parts(parts, size),
                (field, piece) => self.add_text(field, &text_of(piece), size),
            }
            if field == "reasoning_content" {
                thought = piece;
            }
        }
        beside_text
    }

    fn add_others(&mut self, others: Others<'_>) -> usize {
        let grown = others.into_iter().map(|(field, value)| match value.into_value() {
            Value::Array(items) => append_items(&mut self.message, &field, items),
            value => footprint::set(&mut self.message, &field, value),
        });
        grown.sum()
    }

    fn add_text(&mut self, field: &str, text: &str, size: &mut DeltaSize) {
        size.add(text);
        append(&mut self.message, field, text);
    }

    fn add_parts(&mut self, parts: &Value, size: &mut DeltaSize) -> usize {
        let Parts { content, thoughts, others } = Parts::of(parts);
        for (field, text) in [("reasoning_content", thoughts), ("content", content)] {
            if !text.is_empty() {
                self.add_text(field, &text, size);
            }
        }
        if others.is_empty() { 0 } else { append_items(&mut self.message, "content_parts", others) }
    }

    fn add_function_call(&mut self, call: &FunctionPart<'_>, size: &mut DeltaSize) {
        let (name, arguments) = self.function_call.get_or_insert_default();
        for (whole, piece) in [(name, &call.name), (arguments, &call.arguments)] {
            let piece = piece.as_str().unwrap_or_default();
            size.add(piece);
            whole.push_str(piece);
        }
    }

    /// Whether the backend said how it ended.
    pub(super) fn is_finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// Whether the backend said that it gave up.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether there is something in it that somebody could use.
    pub(super) fn says_something(&self) -> bool {
        let is_said = |field: &&str| self.message.get(*field).is_some_and(|text| *text != json!(""));
        !self.tool_calls.is_empty() || self.function_call.is_some() || MESSAGE_TEXTS.iter().any(is_said)
    }

    /// Why it ended: what the backend said, as far as it fits what there is.
    fn reason(&self, cut: Option<&'static str>) -> &'static str {
        let has_calls = !self.tool_calls.is_empty();
        let fits = match self.finish_reason {
            None => return cut.unwrap_or(if has_calls { "tool_calls" } else { "stop" }),
            Some(reason) => reason,
        };
        match fits {
            "stop" | "function_call" if has_calls => "tool_calls",
            "stop" if self.function_call.is_some() => "function_call",
            "tool_calls" if !has_calls && self.function_call.is_some() => "function_call",
            "tool_calls" | "function_call" if !has_calls && self.function_call.is_none() => "stop",
            reason => reason,
        }
    }

    /// The choice as an answer holds it.
    pub(super) fn into_json(self, index: u64, cut: Option<&'static str>) -> Value {
        let finish_reason = self.reason(cut);
        let has_calls = !self.tool_calls.is_empty();
        let mut message = self.message;
        message.insert("role".into(), "assistant".into());
        let is_silent = has_calls || self.function_call.is_some();
        if is_silent && message.get("content") == Some(&json!("")) {
            message.insert("content".into(), Value::Null);
        }
        message.entry("content").or_insert(Value::Null);
        if has_calls {
            message.insert("tool_calls".into(), self.tool_calls.into_json());
        }
        if let Some((name, arguments)) = self.function_call {
            message.insert("function_call".into(), json!({"name": name, "arguments": arguments}));
        }
        let mut choice = self.other;
        choice.insert("index".into(), index.into());
        choice.insert("message".into(), message.into());
        choice.insert("logprobs".into(), self.logprobs.map_or(Value::Null, Value::Object));
        choice.insert("finish_reason".into(), finish_reason.into());
        Value::Object(choice)
    }
}

fn text_of<'a>(piece: &'a Found<'_>) -> Cow<'a, str> {
    match piece {
        Found::Nothing => Cow::Borrowed(""),
        Found::Text(text) => Cow::Borrowed(text),
        Found::Other(value) => Cow::Owned(text_in(value)),
    }
}

fn append(message: &mut Map<String, Value>, field: &str, piece: &str) {
    match message.get_mut(field) {
        Some(Value::String(text)) => text.push_str(piece),
        _ => {
            message.insert(field.to_owned(), piece.into());
        }
    }
}

/// Adds the items to the list of that name; returns how many bytes they have.
fn append_items(object: &mut Map<String, Value>, field: &str, mut items: Vec<Value>) -> usize {
    let bytes = items.iter().map(|item| item.to_string().len()).sum();
    match object.get_mut(field) {
        Some(Value::Array(list)) => list.append(&mut items),
        _ => {
            object.insert(field.to_owned(), items.into());
        }
    }
    bytes
}

fn append_all(object: &mut Map<String, Value>, pieces: Map<String, Value>) -> usize {
    let grown = pieces.into_iter().map(|(field, piece)| match piece {
        Value::Array(items) => append_items(object, &field, items),
        _ => 0,
    });
    grown.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::ChatChunk;

    fn add(choice: &mut Choice, part: &Value, size: &mut DeltaSize) {
        let text = json!({ "choices": [part] }).to_string();
        choice.add(ChatChunk::read(&text).unwrap().choices.remove(0), size).unwrap();
    }

    fn choice(deltas: &[Value]) -> (Value, DeltaSize) {
        let (mut choice, mut size) = (Choice::default(), DeltaSize::default());
        for delta in deltas {
            add(&mut choice, &json!({"delta": delta}), &mut size);
        }
        (choice.into_json(0, None), size)
    }

    #[test]
    fn every_text_of_the_model_is_kept_and_counted() {
        let deltas = MESSAGE_TEXTS.map(|field| json!({field: "äb"}));
        let (_, twice) = choice(&[json!({"reasoning": "hm", "reasoning_content": "hm"})]);
        assert_eq!(twice.bytes, 2);
        let (choice, size) = choice(&[deltas.as_slice(), deltas.as_slice()].concat());
        for field in MESSAGE_TEXTS {
            assert_eq!(choice["message"][field], "äbäb");
        }
        assert_eq!((size.bytes, size.chars), (30, 20));
    }

    #[test]
    fn an_empty_reason_is_none_and_a_reason_fits_what_there_is() {
        let ended = |deltas: &[Value], cut| {
            let (mut choice, mut size) = (Choice::default(), DeltaSize::default());
            for delta in deltas {
                add(&mut choice, delta, &mut size);
            }
            (choice.is_finished(), choice.into_json(0, cut)["finish_reason"].clone())
        };
        let call = json!({"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}});
        let text = json!({"delta": {"content": "x"}, "finish_reason": ""});
        let reason = |reason: &str| json!({"delta": {}, "finish_reason": reason});
        assert_eq!(ended(std::slice::from_ref(&text), Some("length")), (false, json!("length")));
        assert_eq!(ended(&[text.clone(), reason("")], None), (false, json!("stop")));
        assert_eq!(ended(&[text.clone(), reason("eos_token")], None), (true, json!("stop")));
        assert_eq!(ended(&[text, reason("tool_calls")], None), (true, json!("stop")));
        assert_eq!(ended(&[call.clone(), reason("stop")], None), (true, json!("tool_calls")));
        assert_eq!(ended(&[call.clone(), reason("length")], None), (true, json!("length")));
        assert_eq!(ended(&[call], Some("length")), (false, json!("length")));
    }

    #[test]
    fn content_in_parts_becomes_text_and_thoughts() {
        let deltas = [
            json!({"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]}),
            json!({"content": [{"type": "text", "text": "the "}, {"type": "image_url", "image_url": {}}]}),
            json!({"role": "", "content": "answer"}),
            json!({"reasoning": {"text": "more"}, "refusal": 7}),
        ];
        let (choice, size) = choice(&deltas);
        let message = &choice["message"];
        assert_eq!(
            (&message["content"], &message["reasoning_content"]),
            (&json!("the answer"), &json!("hmm"))
        );
        assert_eq!((&message["role"], &message["reasoning"]), (&json!("assistant"), &json!("more")));
        assert_eq!(message["content_parts"].as_array().unwrap().len(), 1);
        assert_eq!(size.bytes, 17);
    }

    #[test]
    fn an_answer_that_calls_tools_says_so_even_if_the_backend_did_not() {
        let (choice, _) =
            choice(&[json!({"content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})]);
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["content"], Value::Null);
    }

    #[test]
    fn the_old_function_call_is_joined() {
        let deltas = [
            json!({"function_call": {"name": "f", "arguments": "{"}}),
            json!({"function_call": {"arguments": "}"}}),
        ];
        let (choice, size) = choice(&deltas);
        assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
        assert_eq!(size.bytes, 3);
    }

    #[test]
    fn lists_and_fields_that_are_not_known_survive() {
        let deltas =
            [json!({"reasoning_details": [1], "audio": {"id": 1}}), json!({"reasoning_details": [2]})];
        let (choice, _) = choice(&deltas);
        assert_eq!(choice["message"]["reasoning_details"], json!([1, 2]));
        assert_eq!(choice["message"]["audio"], json!({"id": 1}));
    }
}
