//! One chunk of a backend's stream: read, mended where backends are known to write what is not JSON, or recognised as
//! an error.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a backend sent.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// The end mark.
    Done,
    /// An error object in place of a chunk.
    Failed {
        /// The status it names, if it names one.
        status: Option<u16>,
        /// Its message.
        message: String,
    },
    /// A piece of the answer.
    Piece {
        /// As it came.
        raw: Box<RawValue>,
        /// Read.
        fields: Map<String, Value>,
    },
}

/// It is not a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Chunk {
    /// Reads an event's data.
    pub(crate) fn read(data: &str) -> Result<Self, NotJson> {
        let data = data.trim();
        if data == "[DONE]" {
            return Ok(Self::Done);
        }
        let text = match serde_json::from_str::<&RawValue>(data) {
            Ok(_) => data.to_owned(),
            Err(_) => without_special_numbers(data),
        };
        let Ok(Value::Object(fields)) = serde_json::from_str(&text) else { return Err(NotJson) };
        if let Some(error) = fields.get("error").filter(|error| !error.is_null()) {
            let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
            let message = message_of(&fields).unwrap_or_else(|| "no message".into());
            return Ok(Self::Failed { status, message });
        }
        let raw = RawValue::from_string(text).map_err(|_| NotJson)?;
        Ok(Self::Piece { raw, fields })
    }
}

/// The text in which a backend says what is wrong, in any of the forms that backends use.
pub(crate) fn message_of(body: &Map<String, Value>) -> Option<String> {
    let error = body.get("error");
    let forms =
        [error.and_then(|error| error.get("message")), error, body.get("message"), body.get("detail")];
    let text = forms.into_iter().flatten().find_map(Value::as_str).map(str::to_owned);
    text.or_else(|| error.or(body.get("detail")).map(Value::to_string))
}

/// Writes `null` for the numbers that Python's and C++'s JSON writers produce and JSON does not have.
fn without_special_numbers(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(character) = rest.chars().next() {
        let special = ["NaN", "-Infinity", "Infinity", "-inf", "inf", "nan", "-nan"];
        let found = special.into_iter().find(|special| !in_string && rest.starts_with(special));
        let taken = match (found, character) {
            (Some(special), _) => {
                mended.push_str("null");
                rest = &rest[special.len()..];
                continue;
            }
            (None, '\\') if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                in_string = !in_string;
                1
            }
            (None, other) => other.len_utf8(),
        };
        mended.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    mended
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(data: &str) -> String {
        match Chunk::read(data) {
            Ok(Chunk::Piece { raw, .. }) => raw.get().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_become_null() {
        let text = r#"{"a":NaN,"b":-Infinity,"c":[Infinity],"d":"NaN \" -Infinity","e":1.50}"#;
        assert_eq!(raw(text), r#"{"a":null,"b":null,"c":[null],"d":"NaN \" -Infinity","e":1.50}"#);
    }

    #[test]
    fn a_chunk_is_passed_on_as_it_was_written() {
        let text = r#"{"created":1.0,  "x":123456789012345678901234567890,"choices":[]}"#;
        assert_eq!(raw(text), text);
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        let cases = [
            (r#"{"error":{"message":"too long","code":400}}"#, Some(400), "too long"),
            (r#"{"error":"too long"}"#, None, "too long"),
            (r#"{"error":{"type":"x"}}"#, None, r#"{"type":"x"}"#),
        ];
        for (text, expected, part) in cases {
            let Ok(Chunk::Failed { status, message }) = Chunk::read(text) else { panic!("{text}") };
            assert_eq!((status, message.as_str()), (expected, part));
        }
        assert!(matches!(Chunk::read(r#"{"error":null,"choices":[]}"#), Ok(Chunk::Piece { .. })));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for text in ["", "1", "[]", "{", "{\"a\":\"", deep.as_str(), "{\"a\":\"\\"] {
            assert_eq!(Chunk::read(text).unwrap_err(), NotJson);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Chunk::read(&text);
            let _ = Chunk::read(&format!("{{\"a\":{text}}}"));
        }

        #[test]
        fn valid_json_without_special_numbers_is_not_changed(text in "[^Nni-]*I?") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(without_special_numbers(&json), json);
        }
    }
}
