//! Content that comes as a list of parts instead of one text.

use serde_json::Value;

/// Fields of a part in which models write what they think.
const THOUGHTS: [&str; 4] = ["thinking", "reasoning", "reasoning_content", "summary"];

/// A list of parts, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// What the answer says.
    pub(super) content: String,
    /// What the model thought.
    pub(super) thoughts: String,
    /// Parts that are neither, such as pictures.
    pub(super) others: Vec<Value>,
}

impl Parts {
    /// Sorts the parts of a content that is no text.
    pub(super) fn of(content: &Value) -> Self {
        let mut sorted = Self::default();
        match content {
            Value::Array(parts) => parts.iter().for_each(|part| sorted.add(part)),
            Value::Object(_) => sorted.add(content),
            Value::Number(_) | Value::Bool(_) => sorted.content.push_str(&content.to_string()),
            Value::String(text) => sorted.content.push_str(text),
            Value::Null => {}
        }
        sorted
    }

    fn add(&mut self, part: &Value) {
        let fields = match part {
            Value::String(text) => return self.content.push_str(text),
            Value::Object(fields) => fields,
            _ => return,
        };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        let thought = THOUGHTS.iter().find_map(|field| fields.get(*field));
        let is_thought = kind.contains("thinking") || kind.contains("reasoning");
        match (fields.get("text").or_else(|| fields.get("content")), thought) {
            (_, Some(thought)) => self.thoughts.push_str(&text_in(thought)),
            (Some(text), None) if is_thought => self.thoughts.push_str(&text_in(text)),
            (Some(text), None) => self.content.push_str(&text_in(text)),
            (None, None) => self.others.push(part.clone()),
        }
    }
}

/// All text in a value, in its order.
pub(super) fn text_in(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_in).collect(),
        Value::Object(fields) => {
            let named = ["text", "content", "thinking", "reasoning", "value"];
            named.iter().find_map(|field| fields.get(*field)).map(text_in).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(content: Value) -> (String, String, usize) {
        let Parts { content, thoughts, others } = Parts::of(&content);
        (content, thoughts, others.len())
    }

    #[test]
    fn text_and_thoughts_are_told_apart_in_every_form() {
        let cases = [
            (json!([{"type": "text", "text": "a"}, "b"]), ("ab", "", 0)),
            (json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]), ("", "hm", 0)),
            (json!([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]), ("a", "hm", 0)),
            (json!([{"type": "reasoning", "text": "hm"}]), ("", "hm", 0)),
            (json!([{"type": "reasoning", "summary": [{"text": "h"}, {"text": "m"}]}]), ("", "hm", 0)),
            (json!({"type": "output_text", "text": "a"}), ("a", "", 0)),
            (json!([{"type": "image_url", "image_url": {}}]), ("", "", 1)),
            (json!(7), ("7", "", 0)),
            (json!([null, 7, []]), ("", "", 0)),
        ];
        for (content, (text, thoughts, others)) in cases {
            assert_eq!(sorted(content.clone()), (text.into(), thoughts.into(), others), "{content}");
        }
    }
}
