//! One event of a backend's answer: read, repaired where backends are known to write what is not JSON, or recognised as
//! an error.

use std::cell::OnceCell;

use bytestring::ByteString;
use serde_json::{Map, Value};
use t4t_inference::{ChatChunk, Refusal};
use t4t_json::JsonText;

use crate::refusal::refusal_of;
use crate::repair::repaired;

/// The data of one event.
#[derive(Debug)]
pub(crate) struct Event {
    data: ByteString,
    /// The same as JSON, where it came as something else.
    repaired: OnceCell<Option<ByteString>>,
}

/// What a backend sent.
#[derive(Debug)]
pub(crate) enum Read<'a> {
    /// The end mark.
    Done,
    /// An error object in place of a chunk.
    Failed(Refusal),
    /// A piece of the answer.
    Piece {
        /// As it came, on one line.
        json: JsonText,
        /// Read.
        chunk: ChatChunk<'a>,
    },
}

/// It is not a JSON object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Event {
    /// An event that has this data. Its bytes are shared.
    pub(crate) fn new(data: &ByteString) -> Self {
        let text = data.trim().trim_start_matches('\u{feff}');
        Self { data: data.slice_ref(text), repaired: OnceCell::new() }
    }

    /// Reads it.
    pub(crate) fn read(&self) -> Result<Read<'_>, NotJson> {
        if matches!(&*self.data, "[DONE]" | "DONE") {
            return Ok(Read::Done);
        }
        let (text, chunk) = match ChatChunk::read(&self.data) {
            Ok(chunk) => (&self.data, chunk),
            Err(_) => {
                let repaired = self.repaired.get_or_init(|| as_object(&self.data));
                let text = repaired.as_ref().ok_or(NotJson)?;
                (text, ChatChunk::read(text).map_err(|_| NotJson)?)
            }
        };
        if chunk.is_error() {
            let fields = serde_json::from_str(text).map_err(|_| NotJson)?;
            return Ok(Read::Failed(refusal_of(&fields, None)));
        }
        Ok(Read::Piece { json: on_one_line(text)?, chunk })
    }
}

/// The object that is meant.
fn as_object(data: &str) -> Option<ByteString> {
    let text = repaired(data);
    if !text.starts_with('[') {
        return Some(text.into());
    }
    // Some write even an error as a list of one.
    let [object]: [Map<String, Value>; 1] = serde_json::from_str(&text).ok()?;
    serde_json::to_string(&object).ok().map(ByteString::from)
}

/// The text, shared. Pieces travel as lines; inside a JSON's texts there are no line ends.
fn on_one_line(text: &ByteString) -> Result<JsonText, NotJson> {
    let bytes = if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ").into()
    } else {
        text.as_bytes().clone()
    };
    JsonText::read_before(bytes).map_err(|_| NotJson)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(data: &str) -> String {
        match Event::new(&data.into()).read() {
            Ok(Read::Piece { json, .. }) => json.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_become_null() {
        let text = r#"{"a":NaN,"b":-Infinity,"c":[Infinity],"d":"NaN \" -Infinity","e":1.50}"#;
        assert_eq!(passed(text), r#"{"a":null,"b":null,"c":[null],"d":"NaN \" -Infinity","e":1.50}"#);
    }

    #[test]
    fn a_chunk_is_passed_on_as_it_was_written() {
        let text = r#"{"created":1.0,  "x":123456789012345678901234567890,"choices":[]}"#;
        assert_eq!(passed(text), text);
    }

    #[test]
    fn a_chunk_is_passed_on_without_a_copy() {
        let data = ByteString::from_static(" {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]} ");
        let event = Event::new(&data);
        let Ok(Read::Piece { json, .. }) = event.read() else { panic!() };
        assert_eq!(json.bytes().as_ptr(), data.as_bytes()[1..].as_ptr());
    }

    #[test]
    fn a_chunk_of_several_lines_is_passed_on_as_one() {
        assert_eq!(passed("{\"a\":\r\n\"x\\ny\"\n}"), "{\"a\":  \"x\\ny\" }");
    }

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_chunk() {
        assert_eq!(passed(r#"{"a":"x\ud83d"}"#), "{\"a\":\"x\u{fffd}\"}");
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
            let Ok(Read::Failed(refusal)) = Event::new(&text.into()).read() else { panic!("{text}") };
            assert_eq!((refusal.status, refusal.message.as_str()), (expected, part));
        }
        for none in
            [r#"{"error":null,"choices":[]}"#, r#"{"error":{},"choices":[]}"#, r#"{"error":"","a":1}"#]
        {
            assert!(matches!(Event::new(&none.into()).read(), Ok(Read::Piece { .. })), "{none}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        for text in ["", "1", "[]", "{", "{\"a\":\"", deep.as_str(), "{\"a\":\"\\"] {
            assert_eq!(Event::new(&text.into()).read().unwrap_err(), NotJson);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = Event::new(&text.as_str().into()).read();
            let _ = Event::new(&format!("{{\"a\":{text}}}").into()).read();
        }
    }
}
