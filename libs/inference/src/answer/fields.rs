//! Fields of an answer that everybody has to understand in the same way.

use serde_json::Value;

/// The fields of a message that hold what the model wrote, in the order in which it writes them.
pub const MESSAGE_TEXTS: [&str; 5] = ["reasoning_content", "reasoning", "thinking", "content", "refusal"];

/// Whether an `error` field says that there is one: some backends write an error that is none into every answer.
pub fn is_error(said: &Value) -> bool {
    match said {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_that_says_nothing_is_none() {
        for none in [json!(null), json!(false), json!(""), json!({}), json!([]), json!(0)] {
            assert!(!is_error(&none), "{none}");
        }
        for one in [json!(true), json!("no"), json!({"message": "no"}), json!([1]), json!(7)] {
            assert!(is_error(&one), "{one}");
        }
    }
}
