//! Whether an answer is one that an app can be given: read to the last letter and kept nowhere.
//!
//! What passes here and could not be read later would have been paid for, and no other provider asked.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use t4t_inference::most_completion_tokens;
use t4t_json::Sound;
use t4t_types::TokenUsage;

use super::answer::Decline;

/// More choices than any API gives; a reader has to make something of each.
const MAX_CHOICES: usize = 1024;

/// The longest usage that is read, in bytes.
const MAX_USAGE_BYTES: usize = 4096;

/// A chat completion, or an error in its place.
#[derive(Deserialize)]
pub(super) struct Shape<'a> {
    #[serde(default)]
    choices: Choices,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "error_if_any")]
    pub(super) error: Option<Decline>,
}

impl<'a> Shape<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is none, or has a text that is no Unicode or a number that is none somewhere: apps' parsers trip over those.
    pub(super) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        let Sound = serde_json::from_str(json)?;
        serde_json::from_str(json)
    }

    /// How many choices it has.
    pub(super) fn choices(&self) -> usize {
        self.choices.count
    }

    /// The most tokens that its texts, thoughts, refusals and calls can have.
    pub(super) fn most_tokens(&self) -> u64 {
        most_completion_tokens(self.choices.bytes, self.choices.count as u64, self.choices.calls)
    }

    /// Whether it says nothing at all; a call of tools that nobody offered says nothing.
    pub(super) fn is_empty(&self, has_tools: bool) -> bool {
        let calls = if has_tools { 0 } else { self.choices.of_calls };
        self.choices.bytes == calls
    }

    /// The tokens it says that it has; `None` if it does not say, or says what can't be.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let text = self.usage.map(RawValue::get).filter(|text| text.len() <= MAX_USAGE_BYTES)?;
        let usage: Value = serde_json::from_str(text).ok()?;
        let tokens = |field: &str| usage.get(field).and_then(Value::as_u64);
        Some(TokenUsage { prompt: tokens("prompt_tokens")?, completion: tokens("completion_tokens")? })
    }
}

/// What the choices come to, all of them sound.
#[derive(Default)]
struct Choices {
    count: usize,
    bytes: u64,
    /// The part of them that calls tools.
    of_calls: u64,
    /// How many tools are called.
    calls: u64,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Choices, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = items.next_element::<Choice>()? {
                    all.count += 1;
                    let of_calls = choice.message.bytes_of_calls();
                    all.of_calls = all.of_calls.saturating_add(of_calls);
                    all.calls = all.calls.saturating_add(choice.message.calls());
                    all.bytes = all.bytes.saturating_add(choice.message.bytes()).saturating_add(of_calls);
                    if all.count > MAX_CHOICES {
                        return Err(de::Error::custom(format!("more than {MAX_CHOICES} choices")));
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}

#[derive(Deserialize)]
struct Choice {
    #[expect(dead_code, reason = "only that it can be read matters")]
    index: Option<u64>,
    message: Message,
    #[expect(dead_code, reason = "only that it can be read matters")]
    finish_reason: Option<Said>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
    reasoning_content: Option<Said>,
    reasoning: Option<Said>,
    thinking: Option<Said>,
    refusal: Option<Said>,
    tool_calls: Option<Vec<ToolCall>>,
    /// A call as it was before there were several.
    #[serde(default, deserialize_with = "call_if_any")]
    function_call: Option<Function>,
}

impl Message {
    fn bytes(&self) -> u64 {
        let said = [&self.reasoning_content, &self.reasoning, &self.thinking, &self.refusal];
        let said = said.into_iter().flatten().map(|said| said.0).sum::<u64>();
        said + self.content.as_ref().map_or(0, |content| content.0)
    }

    fn bytes_of_calls(&self) -> u64 {
        let several = self.tool_calls.iter().flatten().map(ToolCall::bytes).sum::<u64>();
        several + self.function_call.as_ref().map_or(0, Function::bytes)
    }

    fn calls(&self) -> u64 {
        let several = self.tool_calls.as_ref().map_or(0, Vec::len) as u64;
        several + u64::from(self.function_call.is_some())
    }
}

#[derive(Deserialize)]
struct ToolCall {
    #[expect(dead_code, reason = "only that it can be read matters")]
    id: Option<Said>,
    function: Option<Function>,
}

impl ToolCall {
    /// At least one: a call of nothing is one as well.
    fn bytes(&self) -> u64 {
        self.function.as_ref().map_or(1, Function::bytes)
    }
}

#[derive(Deserialize)]
struct Function {
    name: Said,
    #[serde(default)]
    arguments: Arguments,
}

impl Function {
    fn bytes(&self) -> u64 {
        self.name.0.saturating_add(self.arguments.0).max(1)
    }
}

/// Some backends write an error that is none into every answer.
fn error_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decline>, D::Error> {
    let said = Value::deserialize(deserializer)?;
    let is_none = match &said {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if is_none { Ok(None) } else { Decline::deserialize(said).map(Some).map_err(de::Error::custom) }
}

/// A call that is no object is none, and no reason to take the answer for none.
fn call_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Function>, D::Error> {
    let said = Box::<RawValue>::deserialize(deserializer)?;
    if !said.get().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(said.get()).map(Some).map_err(de::Error::custom)
}

#[derive(Deserialize)]
struct Part {
    text: Option<Said>,
}

/// The arguments of a call, by their length.
#[derive(Default)]
struct Arguments(u64);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // That it is sound was seen with the whole.
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(json.get().len() as u64))
    }
}

/// A text of valid Unicode, by its length in bytes.
struct Said(u64);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reading { takes_parts: false }).map(Self)
    }
}

/// A text, or parts that may have one, by its length in bytes.
struct Content(u64);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading { takes_parts: true }).map(Self)
    }
}

struct Reading {
    takes_parts: bool,
}

impl<'de> Visitor<'de> for Reading {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_parts { "a text or its parts" } else { "a text" })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        Ok(text.len() as u64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        if !self.takes_parts {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        let mut bytes = 0_u64;
        while let Some(part) = items.next_element::<Part>()? {
            // A part that is no text is something all the same.
            bytes = bytes.saturating_add(part.text.map_or(1, |text| text.0));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_sound(message: &str) -> bool {
        let text = format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#);
        Shape::read(&text).is_ok_and(|shape| shape.choices() == 1)
    }

    #[test]
    fn what_apps_can_be_given_is_sound() {
        for message in [
            "{}",
            r#"{"role":"assistant","content":"hi","extra":[1e300]}"#,
            r#"{"content":null,"reasoning":"r","refusal":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}"#,
            r#"{"content":[{"type":"text","text":"a"},{"type":"x"}],"tool_calls":[{"function":{"name":"f","arguments":{"a":[1,-2,0.5,null,true,"x"]}}},{"type":"other"}]}"#,
        ] {
            assert!(is_sound(message), "{message}");
        }
    }

    #[test]
    fn what_no_app_can_be_given_is_not() {
        for message in [
            "null",
            "[]",
            r#"{"content":"\ud800"}"#,
            r#"{"content":7}"#,
            r#"{"extra":[1e400]}"#,
            r#"{"extra":"\ud800"}"#,
            r#"{"content":[{"text":"\ud800"}]}"#,
            r#"{"content":{}}"#,
            r#"{"reasoning":["\ud800"]}"#,
            r#"{"refusal":{}}"#,
            r#"{"tool_calls":{}}"#,
            r#"{"tool_calls":[{"function":{}}]}"#,
            r#"{"tool_calls":[{"function":{"name":"f","arguments":{"a":["\ud800"]}}}]}"#,
        ] {
            assert!(!is_sound(message), "{message}");
        }
        let many =
            format!(r#"{{"choices":[{}{{"message":{{}}}}]}}"#, r#"{"message":{}},"#.repeat(MAX_CHOICES));
        assert!(serde_json::from_str::<Shape<'_>>(&many).is_err());
    }

    #[test]
    fn a_usage_that_is_none_is_no_usage_and_no_reason_to_refuse() {
        let usage = |usage: &str| {
            let text = format!(r#"{{"choices":[],"usage":{usage}}}"#);
            serde_json::from_str::<Shape<'_>>(&text).unwrap().usage()
        };
        let stated = TokenUsage { prompt: 1, completion: 2 };
        assert_eq!(usage(r#"{"prompt_tokens":1,"completion_tokens":2}"#), Some(stated));
        for odd in
            ["null", "7", r#"{"prompt_tokens":1e400}"#, r#"{"prompt_tokens":-1,"completion_tokens":2}"#]
        {
            assert_eq!(usage(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_error_or_a_call_that_is_none_is_none() {
        let error = |error: &str| {
            let text = format!(r#"{{"choices":[],"error":{error}}}"#);
            Shape::read(&text).unwrap().error.is_some()
        };
        for none in ["null", "false", r#""""#, "{}"] {
            assert!(!error(none), "{none}");
        }
        for one in [r#""no""#, r#"{"message":"no"}"#, "true", "7"] {
            assert!(error(one), "{one}");
        }
        for none in ["null", "[]", r#""""#, "false"] {
            assert!(is_sound(&format!(r#"{{"content":"hi","function_call":{none}}}"#)), "{none}");
        }
        assert!(!is_sound(r#"{"function_call":{}}"#));
    }

    #[test]
    fn bytes_that_are_delivered_are_counted_and_nothing_else() {
        let shape = |message: &str| {
            let text = format!(r#"{{"choices":[{{"message":{message}}}]}}"#);
            let shape = Shape::read(&text).unwrap();
            (shape.most_tokens() - 16, shape.is_empty(true))
        };
        for nothing in
            ["{}", r#"{"content":""}"#, r#"{"content":null,"reasoning":"","tool_calls":[],"x":"long"}"#]
        {
            assert_eq!(shape(nothing), (0, true), "{nothing}");
        }
        assert_eq!(shape(r#"{"content":"häh"}"#), (4, false));
        assert_eq!(shape(r#"{"content":[{"text":"ab"},{"type":"image"}],"refusal":"no"}"#), (5, false));
        let call = r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}],"reasoning_content":"r"}"#;
        assert_eq!(shape(call), (32 + 1 + 4 + 1, false));
        let old = r#"{"function_call":{"name":"f","arguments":"{}"},"thinking":"t"}"#;
        assert_eq!(shape(old), (32 + 1 + 4 + 1, false));
        let text = r#"{"choices":[{"message":{"content":"","tool_calls":[{"function":{"name":"f"}}]}}]}"#;
        let shape = Shape::read(text).unwrap();
        assert_eq!([true, false].map(|has_tools| shape.is_empty(has_tools)), [false, true], "nobody asked");
    }
}
