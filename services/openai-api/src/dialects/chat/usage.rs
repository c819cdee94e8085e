//! The token counts that an answer states: an app is given counts or nothing.

use serde_json::{Map, Value};

/// More tokens than any answer or prompt has.
const MAX_TOKENS: u64 = 1_000_000_000;

/// The longest usage that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// What has to stand in the place of a usage, as JSON; `None` if it can stay. A usage without possible counts is `null`,
/// which apps take for one that was not stated.
pub(crate) fn corrected(usage: &str) -> Option<String> {
    if usage == "null" {
        return None;
    }
    let read = Some(usage)
        .filter(|usage| usage.len() <= MAX_BYTES)
        .and_then(|usage| serde_json::from_str(usage).ok());
    let Some(stated) = read else { return Some("null".to_owned()) };
    let possible = possible(&stated);
    if possible.as_ref() == Some(&stated) {
        return None;
    }
    Some(possible.map_or(Value::Null, Value::Object).to_string())
}

/// The usage with nothing in it but possible counts; `None` without the two that every usage has.
fn possible(stated: &Map<String, Value>) -> Option<Map<String, Value>> {
    let of = |name: &str| stated.get(name).and_then(count);
    let (prompt, completion) = (of("prompt_tokens")?, of("completion_tokens")?);
    let total = of("total_tokens").unwrap_or(prompt + completion);
    let mut sound = counts(stated);
    for (name, tokens) in
        [("prompt_tokens", prompt), ("completion_tokens", completion), ("total_tokens", total)]
    {
        sound.insert(name.to_owned(), tokens.into());
    }
    Some(sound)
}

/// The members of an object, without those that should count tokens and don't.
fn counts(stated: &Map<String, Value>) -> Map<String, Value> {
    let sound = stated.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Object(members) => Value::Object(counts(members)),
            value if name.ends_with("_tokens") && !value.is_null() => count(value)?.into(),
            value => value.clone(),
        };
        Some((name.clone(), value))
    });
    sound.collect()
}

/// A number of tokens; `12.0` is one.
fn count(value: &Value) -> Option<u64> {
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && *number >= 0.0)?;
        format!("{number:.0}").parse().ok()
    });
    whole.filter(|tokens| *tokens <= MAX_TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_counts_stay_to_the_letter() {
        for usage in [
            "null",
            r#"{"prompt_tokens":0, "completion_tokens":2,"total_tokens":2}"#,
            r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":9,"queue_time":-0.1,"x":"y"}"#,
            r#"{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":null}}"#,
        ] {
            assert_eq!(corrected(usage), None, "{usage}");
        }
    }

    #[test]
    fn impossible_counts_reach_no_app() {
        for usage in [
            "7",
            "[]",
            "{}",
            r#"{"prompt_tokens":-5,"completion_tokens":2,"total_tokens":2}"#,
            r#"{"prompt_tokens":5,"completion_tokens":1e300,"total_tokens":2}"#,
            r#"{"prompt_tokens":"many","completion_tokens":2}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":2}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1000000001}"#,
        ] {
            assert_eq!(corrected(usage).as_deref(), Some("null"), "{usage}");
        }
        let long = format!(r#"{{"prompt_tokens":1,"completion_tokens":2,"x":{:?}}}"#, "x".repeat(MAX_BYTES));
        assert_eq!(corrected(&long).as_deref(), Some("null"));
    }

    #[test]
    fn what_is_wrong_beside_possible_counts_is_left_out() {
        let usage = r#"{"prompt_tokens":1.0,"completion_tokens":2,"total_tokens":"3","prompt_tokens_details":{"cached_tokens":-1,"x":1}}"#;
        let sound: Value = serde_json::from_str(&corrected(usage).unwrap()).unwrap();
        let expected = serde_json::json!(
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"x": 1}}
        );
        assert_eq!(sound, expected);
    }
}
