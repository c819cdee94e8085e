//! One chunk of a chat's answer, read where it stands.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::MapAccess;
use serde_json::Value;

use super::delta::ChoicePart;
use super::fields::is_error;
use super::lenient::{Found, FromFields, Others, Read, value};

/// One `chat.completion.chunk`, or a whole `chat.completion`: what is needed of it, the rest seen to be JSON that anybody
/// can read. Its texts are those of the JSON, without a copy where nothing in them is escaped.
#[derive(Debug, Default)]
pub struct ChatChunk<'a> {
    pub(super) choices: Vec<ChoicePart<'a>>,
    pub(super) usage: Option<Value>,
    /// Every field that is not the stream's own.
    pub(super) others: Others<'a>,
    has_error: bool,
    is_error_object: bool,
}

impl<'a> ChatChunk<'a> {
    /// Reads a chunk.
    ///
    /// # Errors
    /// The text is no JSON object, holds half a surrogate pair or a number that fits no double, or nests too deep.
    pub fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let chunk: Option<Self> = (&mut deserializer).deserialize_any(Read::NEW)?;
        deserializer.end()?;
        chunk.ok_or_else(|| serde::de::Error::custom("expected an object"))
    }

    /// Whether it is an error in place of an answer.
    pub fn is_error(&self) -> bool {
        self.has_error || self.is_error_object
    }

    /// Whether it is a whole answer and not a stream's chunk.
    pub fn is_whole(&self) -> bool {
        self.choices.iter().any(|choice| choice.message.is_some() && !choice.has_delta)
    }
}

impl<'de> FromFields<'de> for ChatChunk<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: Cow<'de, str>, fields: &mut A) -> Result<(), A::Error> {
        match &*name {
            "choices" => self.choices = value(fields)?,
            "usage" => self.usage = value::<Found<'_>, _>(fields)?.into_object().map(Value::Object),
            // An answer has no error, not even one that is none.
            "error" => self.has_error = is_error(&value::<Found<'_>, _>(fields)?.into_value()),
            "object" => self.is_error_object = value::<Found<'_>, _>(fields)?.as_str() == Some("error"),
            _ => self.others.take(name, fields)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_is_not_escaped_is_not_copied() {
        let json = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"hello","reasoning":"a\nb"}}]}"#;
        let chunk = ChatChunk::read(json).unwrap();
        let delta = chunk.choices[0].delta.as_ref().unwrap();
        let texts: Vec<_> = delta.texts.iter().filter(|text| !text.is_nothing()).collect();
        assert!(matches!(texts[1], Found::Text(Cow::Borrowed("hello"))), "{texts:?}");
        assert!(matches!(texts[0], Found::Text(Cow::Owned(text)) if text == "a\nb"), "{texts:?}");
    }

    #[test]
    fn what_a_later_reader_would_trip_over_is_refused_wherever_it_stands() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for json in [
            r#"{"x":"\ud83d"}"#,
            r#"{"x":1e999}"#,
            r#"{"choices":{"x":"\ud83d"}}"#,
            r#"{"choices":["\ud83d"]}"#,
            r#"{"choices":[{"delta":"\ud83d"}]}"#,
            r#"{"choices":[{"delta":{"role":"\ud83d"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"type":"\ud83d"}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":"\ud83d"}}]}"#,
            r#"{"usage":"\ud83d"}"#,
            r#"{"object":["\ud83d"]}"#,
            r#"{"\ud83d":1}"#,
            "[]",
            "7",
            "null",
            "{} {}",
            "{",
            &deep,
        ] {
            assert!(ChatChunk::read(json).is_err(), "{}", &json[..json.len().min(60)]);
        }
    }

    #[test]
    fn of_a_repeated_field_the_last_counts() {
        let json = r#"{"x":1,"x":2,"choices":[{"delta":{"content":"a"}}],"choices":[{"delta":{"content":"b","content":"c"}}]}"#;
        let chunk = ChatChunk::read(json).unwrap();
        let others: Vec<_> = chunk.others.into_iter().collect();
        assert_eq!(others, [("x".into(), Found::Other(2.into()))]);
        let texts = &chunk.choices[0].delta.as_ref().unwrap().texts;
        assert_eq!((chunk.choices.len(), texts[3].as_str()), (1, Some("c")));
    }

    proptest! {
        /// What is read leniently is refused for the same reasons as what is read to a tree.
        #[test]
        fn what_is_json_is_read_and_what_is_not_is_refused(
            field in prop::sample::select(vec!["choices", "usage", "error", "object", "x"]),
            inner in prop::sample::select(vec!["index", "delta", "message", "text", "finish_reason", "logprobs", "y"]),
            value in prop::sample::select(vec![
                "null", "true", "-1", "1.5", "1e999", "\"a\\u00e9\"", "\"\\ud83d\"", "[]", "{}", "[{\"a\":[1]}]", "{\"content\":[\"x\"]}",
                "{\"tool_calls\":[{\"function\":{\"name\":7,\"arguments\":{\"a\":1}}},3]}", "tru", "[1,]", "{\"a\"}",
            ]),
        ) {
            for json in [format!("{{\"{field}\":{value}}}"), format!("{{\"{field}\":[{{\"{inner}\":{value}}}]}}")] {
                let is_json = serde_json::from_str::<Value>(&json).is_ok();
                prop_assert_eq!(ChatChunk::read(&json).is_ok(), is_json, "{}", json);
            }
        }
    }
}
