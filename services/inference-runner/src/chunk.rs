//! One chunk of a backend's answer: read, mended where backends are known to write what is not JSON, or recognised as
//! an error.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use t4t_inference::Refusal;

use crate::choice::is_something;
use crate::mend::mended;

/// What a backend sent.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// The end mark.
    Done,
    /// An error object in place of a chunk.
    Failed(Refusal),
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
        let data = data.trim().trim_start_matches('\u{feff}');
        if data == "[DONE]" || data == "DONE" {
            return Ok(Self::Done);
        }
        let mended_text;
        let (value, text) = match serde_json::from_str(data) {
            Ok(value) => (value, data),
            Err(_) => {
                mended_text = mended(data);
                (serde_json::from_str(&mended_text).map_err(|_| NotJson)?, mended_text.as_str())
            }
        };
        let (fields, is_as_written) = match value {
            Value::Object(fields) => (fields, true),
            // Some write even an error as a list of one.
            Value::Array(mut list) if list.len() == 1 => match list.pop() {
                Some(Value::Object(fields)) => (fields, false),
                _ => return Err(NotJson),
            },
            _ => return Err(NotJson),
        };
        if is_error(&fields) {
            return Ok(Self::Failed(refusal_of(&fields, None)));
        }
        let raw = if is_as_written {
            RawValue::from_string(text.to_owned()).map_err(|_| NotJson)?
        } else {
            serde_json::value::to_raw_value(&fields).map_err(|_| NotJson)?
        };
        Ok(Self::Piece { raw, fields })
    }
}

fn is_error(body: &Map<String, Value>) -> bool {
    body.get("error").is_some_and(is_something) || body.get("object").is_some_and(|kind| kind == "error")
}

/// What a backend says of its error, in any of the forms that backends use; `status` is what its HTTP head said.
///
/// Never the text of an answer: only what stands where errors stand.
pub(crate) fn refusal_of(body: &Map<String, Value>, status: Option<u16>) -> Refusal {
    let error = body.get("error");
    let field = |name: &str| {
        error.and_then(|error| error.get(name)).or_else(|| body.get(name)).filter(|it| !it.is_null())
    };
    let text = |name: &str| field(name).and_then(Value::as_str).map(str::to_owned);
    let stated = ["code", "status", "status_code"].iter().find_map(|name| field(name).and_then(status_in));
    Refusal {
        message: message_of(body).unwrap_or_else(|| "the backend gave no reason".into()),
        kind: text("type"),
        param: text("param"),
        code: text("code").filter(|code| code.parse::<u16>().is_err()),
        status: status.or(stated),
        retry_after: ["retry_after", "retry_after_seconds"]
            .iter()
            .find_map(|name| field(name).and_then(Value::as_u64)),
    }
}

/// A number that can be a status of an error, also written as a text.
fn status_in(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// The text in which a backend says what is wrong, in any of the forms that backends use.
fn message_of(body: &Map<String, Value>) -> Option<String> {
    let error = body.get("error");
    let forms =
        [error.and_then(|error| error.get("message")), error, body.get("message"), body.get("detail")];
    let text = forms.into_iter().flatten().find_map(Value::as_str).map(str::to_owned);
    text.or_else(|| error.or(body.get("detail")).map(Value::to_string))
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
    fn half_a_surrogate_pair_does_not_lose_the_chunk() {
        assert_eq!(raw(r#"{"a":"x\ud83d"}"#), "{\"a\":\"x\u{fffd}\"}");
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        let cases = [
            (r#"{"error":{"message":"too long","code":400}}"#, Some(400), "too long"),
            (r#"{"error":{"message":"too long","code":"503"}}"#, Some(503), "too long"),
            (r#"{"error":"too long"}"#, None, "too long"),
            (r#"{"error":{"type":"x"}}"#, None, r#"{"type":"x"}"#),
            (r#"[{"error":{"message":"m","status":"INVALID_ARGUMENT","code":400}}]"#, Some(400), "m"),
            (r#"{"object":"error","message":"m","code":404}"#, Some(404), "m"),
        ];
        for (text, expected, part) in cases {
            let Ok(Chunk::Failed(refusal)) = Chunk::read(text) else { panic!("{text}") };
            assert_eq!((refusal.status, refusal.message.as_str()), (expected, part));
        }
        for none in
            [r#"{"error":null,"choices":[]}"#, r#"{"error":{},"choices":[]}"#, r#"{"error":"","a":1}"#]
        {
            assert!(matches!(Chunk::read(none), Ok(Chunk::Piece { .. })), "{none}");
        }
    }

    #[test]
    fn a_backends_error_keeps_its_code_param_and_type() {
        let body =
            r#"{"error":{"message":"m","type":"t","param":"messages","code":"context_length_exceeded"}}"#;
        let refusal = refusal_of(&serde_json::from_str(body).unwrap(), Some(400));
        assert_eq!((refusal.kind.as_deref(), refusal.param.as_deref()), (Some("t"), Some("messages")));
        assert_eq!(refusal.code.as_deref(), Some("context_length_exceeded"));
        let answer = r#"{"choices":[{"message":{"content":"secret"}}]}"#;
        assert!(!refusal_of(&serde_json::from_str(answer).unwrap(), Some(500)).message.contains("secret"));
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
    }
}
