//! Whether an answer is one that an app can be given: read to the last letter and kept nowhere.
//!
//! What passes here and could not be read later would have been paid for, and no other provider asked.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use t4t_types::{Sound, TokenUsage};

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
    #[serde(default)]
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
        self.choices.0
    }

    /// The tokens it says that it has; `None` if it does not say.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let text = self.usage.map(RawValue::get).filter(|text| text.len() <= MAX_USAGE_BYTES)?;
        let usage: Value = serde_json::from_str(text).ok()?;
        let tokens = |field: &str| usage.get(field).and_then(Value::as_u64);
        Some(TokenUsage { prompt: tokens("prompt_tokens")?, completion: tokens("completion_tokens")? })
    }
}

/// How many choices there are, all of them sound.
#[derive(Default)]
struct Choices(usize);

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Choices, A::Error> {
                let mut count = 0;
                while items.next_element::<Choice>()?.is_some() {
                    count += 1;
                    if count > MAX_CHOICES {
                        return Err(de::Error::custom(format!("more than {MAX_CHOICES} choices")));
                    }
                }
                Ok(Choices(count))
            }
        }
        deserializer.deserialize_seq(Counting)
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that they can be read matters")]
struct Choice {
    index: Option<u64>,
    message: Message,
    finish_reason: Option<Said>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that they can be read matters")]
struct Message {
    content: Option<Content>,
    reasoning_content: Option<Said>,
    reasoning: Option<Said>,
    refusal: Option<Said>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that they can be read matters")]
struct ToolCall {
    id: Option<Said>,
    function: Option<Function>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that they can be read matters")]
struct Function {
    name: Said,
    arguments: Option<Sound>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only that they can be read matters")]
struct Part {
    text: Option<Said>,
}

/// A text of valid Unicode.
struct Said;

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reading { takes_parts: false }).map(|()| Self)
    }
}

/// A text, or parts that may have one.
struct Content;

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading { takes_parts: true }).map(|()| Self)
    }
}

struct Reading {
    takes_parts: bool,
}

impl<'de> Visitor<'de> for Reading {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_parts { "a text or its parts" } else { "a text" })
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if !self.takes_parts {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        while items.next_element::<Part>()?.is_some() {}
        Ok(())
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
}
