//! What of an answer can't reach an app as it came: calls nobody asked for, calls without a name to answer to, ends
//! without a reason, and counts that are none. All else is passed on to the letter.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use t4t_json::{Change, Members};
use t4t_types::{RequestId, keccak256};

use super::answer::UnusableAnswer;
use super::usage;
use t4t_json::{Splice, quoted};

/// What a made-up id is hashed with, so that it is nothing else's hash.
const DOMAIN: &[u8] = b"t4t-tool-call";

/// Bytes of a made-up id's hash; with `call_` before them the id has 29 characters, and some APIs take 40 at most.
const ID_BYTES: usize = 12;

/// What was asked, as far as an answer is judged by it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request, by which ids are made up: no two answers get the same.
    pub(crate) request: RequestId,
    /// Whether the model may call tools.
    pub(crate) has_tools: bool,
    /// The ids of calls in the conversation so far.
    pub(crate) call_ids: HashSet<String>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    choices: Vec<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// The answer as an app can be given it.
///
/// # Errors
/// It is no chat completion, or has nothing but calls that nobody asked for.
pub(crate) fn mended<'a>(answer: &'a str, asked: Asked) -> Result<Cow<'a, str>, UnusableAnswer> {
    let whole: Whole<'_> = serde_json::from_str(answer)?;
    let mut splice = Splice::of(answer);
    if let Some(raw) = whole.usage
        && let Some(stated) = usage::mended(raw.get())
    {
        splice.replace(raw.get(), stated);
    }
    let mut mending = Mending { asked, taken: HashSet::new(), dropped: false, says_something: false };
    for (place, raw) in whole.choices.iter().enumerate() {
        if let Some(choice) = mending.choice(place, raw)? {
            splice.replace(raw.get(), choice);
        }
    }
    if mending.dropped && !mending.says_something {
        return Err(UnusableAnswer::UnaskedCalls);
    }
    Ok(splice.apply())
}

struct Mending {
    asked: Asked,
    /// The ids in this answer.
    taken: HashSet<String>,
    /// Whether a call was left out.
    dropped: bool,
    /// Whether something is left for the app.
    says_something: bool,
}

impl Mending {
    /// A choice as it has to be; `None` if it is that already.
    fn choice(&mut self, place: usize, raw: &RawValue) -> Result<Option<String>, UnusableAnswer> {
        let choice: Members<'_> = serde_json::from_str(raw.get())?;
        let message = choice.get("message").and_then(|message| Members::read(message.get()).ok());
        let Some(message) = message else { return Ok(None) };
        let (mended, has_calls) = self.message(place, &message)?;
        let reason = finish_reason(&choice, has_calls);
        if mended.is_none() && reason.is_none() {
            return Ok(None);
        }
        let states_reason = choice.iter().any(|(name, _)| name == "finish_reason");
        let added = reason.clone().filter(|_| !states_reason).map(|reason| ("finish_reason", reason));
        let change = |name: &str, _: &RawValue| match name {
            "message" => mended.clone().map_or(Change::Keep, Change::Replace),
            "finish_reason" => reason.clone().map_or(Change::Keep, Change::Replace),
            _ => Change::Keep,
        };
        Ok(Some(choice.rewritten(change, added)))
    }

    /// A message as it has to be, if it is not, and whether it calls tools.
    fn message(
        &mut self,
        place: usize,
        message: &Members<'_>,
    ) -> Result<(Option<String>, bool), UnusableAnswer> {
        let said = ["content", "reasoning_content", "reasoning", "refusal", "audio"];
        let says = |name: &&str| message.get(name).is_some_and(|said| !matches!(said.get(), "\"\"" | "[]"));
        self.says_something |= said.iter().any(says);
        let parts = message.get("content").and_then(|content| Words::of(content.get()));
        let calls = message.get("tool_calls").filter(|calls| calls.get() != "[]");
        let has_old_call = message.get("function_call").is_some();
        let drops = !self.asked.has_tools && (calls.is_some() || has_old_call);
        self.dropped |= drops;
        self.says_something |= !drops && (calls.is_some() || has_old_call);
        let calls = calls.filter(|_| !drops);
        let mended_calls = calls.map(|calls| self.calls(place, calls)).transpose()?.flatten();
        if parts.is_none() && mended_calls.is_none() && !drops {
            return Ok((None, calls.is_some()));
        }
        let change = |name: &str, value: &RawValue| match (name, &parts, &mended_calls) {
            ("tool_calls" | "function_call", ..) if drops => Change::Drop,
            // One is put behind it.
            ("reasoning_content", Some(_), _) if value.get() == "null" => Change::Drop,
            ("tool_calls", _, Some(calls)) => Change::Replace(calls.clone()),
            ("content", Some(words), _) => Change::Replace(quoted(&words.said)),
            _ => Change::Keep,
        };
        let states_thoughts =
            ["reasoning_content", "reasoning"].iter().any(|name| message.get(name).is_some());
        let thought = parts.as_ref().map(|words| &words.thought);
        let thought = thought.filter(|thought| !thought.is_empty() && !states_thoughts);
        let thought = thought.map(|thought| ("reasoning_content", quoted(thought)));
        Ok((Some(message.rewritten(change, thought)), calls.is_some()))
    }

    /// The calls of a message as they have to be; `None` if they are that already.
    fn calls(&mut self, place: usize, calls: &RawValue) -> Result<Option<String>, UnusableAnswer> {
        let calls: Vec<&RawValue> = serde_json::from_str(calls.get())?;
        let mended = calls.iter().enumerate().map(|(index, raw)| self.call((place, index), raw));
        let mended = mended.collect::<Result<Vec<Option<String>>, _>>()?;
        if mended.iter().all(Option::is_none) {
            return Ok(None);
        }
        let calls = calls.iter().zip(mended);
        let calls = calls.map(|(raw, mended)| mended.unwrap_or_else(|| raw.get().to_owned()));
        Ok(Some(format!("[{}]", calls.collect::<Vec<_>>().join(","))))
    }

    /// A call as it has to be; `None` if it is that already.
    fn call(&mut self, place: (usize, usize), raw: &RawValue) -> Result<Option<String>, UnusableAnswer> {
        let call: Members<'_> = serde_json::from_str(raw.get())?;
        let id = call.get("id").and_then(|id| serde_json::from_str::<String>(id.get()).ok());
        let id =
            id.filter(|id| !id.is_empty() && !self.asked.call_ids.contains(id) && !self.taken.contains(id));
        let is_named = id.is_some();
        let id = id.unwrap_or_else(|| made_up(self.asked.request, place));
        self.taken.insert(id.clone());
        let function = call.get("function").and_then(|function| Members::read(function.get()).ok());
        let function = function.and_then(|function| with_text_arguments(&function));
        let lacks_type = call.get("type").is_none() && call.get("function").is_some();
        if is_named && function.is_none() && !lacks_type {
            return Ok(None);
        }
        let change = |name: &str, _: &RawValue| match name {
            "id" => Change::Drop,
            "type" if lacks_type => Change::Drop,
            "function" => function.clone().map_or(Change::Keep, Change::Replace),
            _ => Change::Keep,
        };
        let kind = lacks_type.then(|| ("type", quoted("function")));
        Ok(Some(call.rewritten(change, [("id", quoted(&id))].into_iter().chain(kind))))
    }
}

/// What a content in parts says: apps expect one text, and the thoughts beside it.
#[derive(Debug, Default)]
struct Words {
    said: String,
    thought: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Bare(String),
    Text { text: String },
    Thinking { thinking: Thinking },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Thinking {
    Text(String),
    Parts(Vec<Part>),
}

impl Words {
    /// The words of a content in parts; `None` for any other, and where a part is no words.
    fn of(content: &str) -> Option<Self> {
        let parts: Vec<Part> = Some(content)
            .filter(|text| text.starts_with('['))
            .and_then(|text| serde_json::from_str(text).ok())?;
        let mut words = Self::default();
        for part in parts {
            match part {
                Part::Bare(text) | Part::Text { text } => words.said.push_str(&text),
                Part::Thinking { thinking: Thinking::Text(text) } => words.thought.push_str(&text),
                Part::Thinking { thinking: Thinking::Parts(parts) } => {
                    let texts = parts.iter().map(|part| match part {
                        Part::Bare(text) | Part::Text { text } => text.as_str(),
                        Part::Thinking { .. } => "",
                    });
                    words.thought.extend(texts);
                }
            }
        }
        Some(words)
    }
}

/// The reason that a choice has to give for its end, if it gives none or a wrong one: JSON.
fn finish_reason(choice: &Members<'_>, has_calls: bool) -> Option<String> {
    let given =
        choice.get("finish_reason").and_then(|given| serde_json::from_str::<String>(given.get()).ok());
    let given = given.unwrap_or_default();
    let right = match (given.as_str(), has_calls) {
        ("" | "stop", true) => "tool_calls",
        ("", false) => "stop",
        ("tool_calls", false) => "stop",
        (given, _) => given,
    };
    (right != given).then(|| quoted(right))
}

/// An id for a call that has none of its own.
fn made_up(request: RequestId, (choice, call): (usize, usize)) -> String {
    let named = format!("{choice}:{call}");
    let hash = keccak256([DOMAIN, request.as_bytes(), named.as_bytes()].concat());
    format!("call_{}", hex::encode(&hash[..ID_BYTES]))
}

/// A function whose arguments are JSON in a string; `None` if they are that already. Some backends send the JSON itself.
fn with_text_arguments(function: &Members<'_>) -> Option<String> {
    let stated = function.iter().find(|(name, _)| *name == "arguments").map(|(_, arguments)| arguments.get());
    let text = match stated {
        Some(arguments) if arguments.starts_with('"') => return None,
        None | Some("null") => quoted(""),
        Some(json) => quoted(json),
    };
    let change = |name: &str, _: &RawValue| if name == "arguments" { Change::Drop } else { Change::Keep };
    Some(function.rewritten(change, [("arguments", text)]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(has_tools: bool, call_ids: &[&str]) -> Asked {
        let call_ids = call_ids.iter().map(ToString::to_string).collect();
        Asked { request: RequestId::new([7; 32]), has_tools, call_ids }
    }

    fn choice(message: &str, reason: &str) -> String {
        format!(r#"{{"id":"x", "choices":[{{"index":0,"message":{message},"finish_reason":{reason}}}]}}"#)
    }

    fn mend(answer: &str, asked: Asked) -> Value {
        serde_json::from_str(&mended(answer, asked).unwrap()).unwrap()
    }

    #[test]
    fn an_answer_without_a_fault_is_passed_on_to_the_letter() {
        let call = r#"{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},"extra":1.50}]}"#;
        for answer in [
            choice(r#"{"role":"assistant","content":"hi"}"#, r#""stop""#),
            choice(r#"{"content":"hi"}"#, r#""length""#),
            choice(call, r#""tool_calls""#),
            choice(call, r#""length""#),
            r#"{"choices":[{"message":{"tool_calls":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#.into(),
        ] {
            assert_eq!(mended(&answer, asked(true, &[])).unwrap(), answer);
        }
    }

    #[test]
    fn every_call_has_an_id_that_no_other_call_of_the_conversation_has() {
        let function = r#""function":{"name":"f","arguments":{"a":1}}"#;
        let message = format!(
            r#"{{"tool_calls":[{{{function}}},{{"id":"",{function}}},{{"id":"call_0",{function}}},{{"id":"b",{function}}},{{"id":"b",{function}}}]}}"#
        );
        let first = mend(&choice(&message, "null"), asked(true, &["call_0"]));
        let calls = first["choices"][0]["message"]["tool_calls"].as_array().unwrap();
        let ids: HashSet<&str> = calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 5, "{ids:?}");
        assert!(ids.contains("b") && !ids.contains("call_0"));
        assert!(ids.iter().all(|id| !id.is_empty() && id.len() <= 40));
        assert!(calls.iter().all(|call| call["type"] == "function"));
        assert_eq!(calls[0]["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
        assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
        let mut next = asked(true, &[]);
        next.request = RequestId::new([8; 32]);
        let second = mend(&choice(&message, "null"), next);
        assert_ne!(second["choices"][0]["message"]["tool_calls"][0]["id"], calls[0]["id"]);
    }

    #[test]
    fn a_content_in_parts_is_one_text_with_its_thoughts_beside_it() {
        let parts = r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hmm"}]},{"type":"text","text":"the "},"answer"]}"#;
        let mended_answer = mend(&choice(parts, r#""stop""#), asked(false, &[]));
        let message = &mended_answer["choices"][0]["message"];
        assert_eq!(message, &json!({"content": "the answer", "reasoning_content": "hmm"}));
        let picture =
            choice(r#"{"content":[{"type":"image_url","image_url":{"url":"data:,"}}]}"#, r#""stop""#);
        assert_eq!(mended(&picture, asked(false, &[])).unwrap(), picture);
    }

    #[test]
    fn an_end_has_its_reason() {
        let call = r#"{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#;
        for (message, given, right) in [
            (call, r#""stop""#, "tool_calls"),
            (call, "null", "tool_calls"),
            (call, r#""content_filter""#, "content_filter"),
            (r#"{"content":"x"}"#, "null", "stop"),
            (r#"{"content":"x"}"#, r#""""#, "stop"),
            (r#"{"content":"x"}"#, "7", "stop"),
            (r#"{"content":"x"}"#, r#""tool_calls""#, "stop"),
        ] {
            let mended = mend(&choice(message, given), asked(true, &[]));
            assert_eq!(mended["choices"][0]["finish_reason"], right, "{message} {given}");
        }
        let none = mend(r#"{"choices":[{"message":{"content":"x"}}]}"#, asked(false, &[]));
        assert_eq!(none["choices"][0]["finish_reason"], "stop");
    }

    #[test]
    fn calls_that_nobody_asked_for_reach_no_app() {
        let call = r#"[{"id":"a","type":"function","function":{"name":"rm","arguments":"{}"}}]"#;
        let beside = format!(r#"{{"content":"hi","tool_calls":{call},"function_call":{{"name":"rm"}}}}"#);
        let mended_answer = mend(&choice(&beside, r#""tool_calls""#), asked(false, &[]));
        assert_eq!(mended_answer["choices"][0]["message"], json!({"content": "hi"}));
        assert_eq!(mended_answer["choices"][0]["finish_reason"], "stop");
        for only in [
            format!(r#"{{"content":null,"tool_calls":{call}}}"#),
            r#"{"content":"","function_call":{}}"#.into(),
        ] {
            let answer = choice(&only, r#""tool_calls""#);
            assert!(
                matches!(mended(&answer, asked(false, &[])), Err(UnusableAnswer::UnaskedCalls)),
                "{only}"
            );
        }
    }
}
