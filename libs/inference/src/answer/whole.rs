//! A whole answer as the chunk of a stream.

use serde_json::{Map, Value};

/// A whole answer as the one chunk that it would have been.
///
/// # Errors
/// It is no JSON object.
pub fn as_chunk(answer: &str) -> Result<String, serde_json::Error> {
    let mut chunk: Map<String, Value> = serde_json::from_str(answer)?;
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
    serde_json::to_string(&chunk)
}

/// A stream's tool calls have an index, an answer's have none.
fn number_tool_calls(message: &mut Value) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, call) in calls.filter_map(Value::as_object_mut).enumerate() {
        call.insert("index".into(), index.into());
    }
}
