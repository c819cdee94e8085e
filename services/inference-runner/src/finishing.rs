//! The last look at an answer: what is longer than was paid for is cut, and what a gateway's reader would not take is
//! left out, since a gateway that can't read an answer takes its provider for one that did not answer.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use t4t_inference::{MAX_USAGE_BYTES, MESSAGE_TEXTS, most_completion_tokens};
use t4t_protocol::ResponsePayload;
use t4t_types::TokenUsage;

/// Fields of a message that every app knows, beside its texts.
const OF_MESSAGES: [&str; 3] = ["role", "tool_calls", "function_call"];

/// Fields of a choice that every app knows.
const OF_CHOICES: [&str; 4] = ["index", "message", "logprobs", "finish_reason"];

/// Fields of a tool call that every app knows.
const OF_CALLS: [&str; 4] = ["id", "type", "function", "custom"];

/// Fields of an answer that every app knows.
const OF_ANSWERS: [&str; 6] = ["id", "object", "created", "model", "choices", "usage"];

/// Details of a usage that are kept where all of it would be too long, each as long as it may be.
const USAGE_DETAILS: [&str; 2] = ["prompt_tokens_details", "completion_tokens_details"];
const MAX_DETAIL_BYTES: usize = 1024;

/// Cuts an answer that has `tokens` tokens to about `cap`: its texts where their share ends, and calls that are not
/// whole within it. What is said beside them says more than was paid for, and is left out.
pub(crate) fn cut_to(answer: &mut Map<String, Value>, cap: u64, tokens: u64) {
    for choice in choices_of(answer) {
        keep(choice, &OF_CHOICES);
        choice.insert("logprobs".into(), Value::Null);
        choice.insert("finish_reason".into(), "length".into());
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { continue };
        keep_known(message);
        let share = u128::from(bytes_of(message)) * u128::from(cap) / u128::from(tokens.max(1));
        cut_message(message, usize::try_from(share).unwrap_or(usize::MAX));
    }
}

fn cut_message(message: &mut Map<String, Value>, mut left: usize) {
    for field in MESSAGE_TEXTS {
        if let Some(Value::String(text)) = message.get_mut(field) {
            // At most three bytes of a character lie before its end; 0 is always a boundary.
            let end = (0..=left.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
            left -= text.len();
        }
    }
    if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
        calls.retain(|call| {
            let bytes = usize::try_from(bytes_of_call(call)).unwrap_or(usize::MAX);
            let fits = bytes <= left;
            // Calls are made in their order.
            left = if fits { left - bytes } else { 0 };
            fits
        });
        if calls.is_empty() {
            message.remove("tool_calls");
        }
    }
    let old = message.get("function_call").map_or(0, bytes_of_function);
    if usize::try_from(old).unwrap_or(usize::MAX) > left {
        message.remove("function_call");
    }
}

/// The most completion tokens that a gateway believes of this answer.
pub(crate) fn most_tokens(answer: &mut Map<String, Value>) -> u64 {
    let (mut bytes, mut choices, mut calls) = (0_u64, 0, 0);
    for choice in choices_of(answer) {
        choices += 1;
        let Some(message) = choice.get("message").and_then(Value::as_object) else { continue };
        bytes = bytes.saturating_add(bytes_of(message));
        calls += message.get("tool_calls").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        calls += u64::from(message.contains_key("function_call"));
    }
    most_completion_tokens(bytes, choices, calls)
}

fn bytes_of(message: &Map<String, Value>) -> u64 {
    let texts = MESSAGE_TEXTS.iter().filter_map(|field| message.get(*field)?.as_str());
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    texts.map(|text| text.len() as u64).sum::<u64>()
        + calls.map(bytes_of_call).sum::<u64>()
        + message.get("function_call").map_or(0, bytes_of_function)
}

fn bytes_of_call(call: &Value) -> u64 {
    call.get("function").map_or(1, bytes_of_function)
}

fn bytes_of_function(function: &Value) -> u64 {
    let texts = ["name", "arguments"].iter().filter_map(|field| function.get(*field)?.as_str());
    texts.map(|text| text.len() as u64).sum::<u64>().max(1)
}

/// The backend's usage object with the numbers that are billed. Its details stay as far as a gateway reads them.
pub(crate) fn usage(reported: Option<Value>, billed: TokenUsage) -> Value {
    let numbers = json!({"prompt_tokens": billed.prompt, "completion_tokens": billed.completion, "total_tokens": billed.total()});
    let Value::Object(numbers) = numbers else { return numbers };
    let mut usage = match reported {
        Some(Value::Object(reported)) => reported,
        _ => Map::new(),
    };
    usage.extend(numbers.clone());
    if length(&usage) > MAX_USAGE_BYTES {
        usage.retain(|field, value| {
            numbers.contains_key(field)
                || (USAGE_DETAILS.contains(&field.as_str()) && value.to_string().len() <= MAX_DETAIL_BYTES)
        });
    }
    Value::Object(usage)
}

fn length(object: &Map<String, Value>) -> usize {
    serde_json::to_vec(object).map_or(usize::MAX, |text| text.len())
}

/// Writes the answer, and leaves out what makes it too large or too deep for a gateway: first the log probabilities,
/// then what not every app knows.
///
/// # Errors
/// What is left is too large all the same.
pub(crate) fn written(mut answer: Map<String, Value>) -> Result<Box<RawValue>, &'static str> {
    let lighten: [fn(&mut Map<String, Value>); 3] = [|_| {}, drop_logprobs, drop_unknown];
    for lighten in lighten {
        lighten(&mut answer);
        let text =
            serde_json::value::to_raw_value(&answer).map_err(|_| "its answer can't be written as JSON")?;
        if ResponsePayload::takes(text.get()).is_ok() {
            return Ok(text);
        }
    }
    Err("its answer is larger than what can be delivered")
}

fn drop_logprobs(answer: &mut Map<String, Value>) {
    for choice in choices_of(answer) {
        choice.insert("logprobs".into(), Value::Null);
    }
}

fn drop_unknown(answer: &mut Map<String, Value>) {
    keep(answer, &OF_ANSWERS);
    for choice in choices_of(answer) {
        keep(choice, &OF_CHOICES);
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { continue };
        keep_known(message);
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for call in calls.filter_map(Value::as_object_mut) {
            keep(call, &OF_CALLS);
            if let Some(function) = call.get_mut("function").and_then(Value::as_object_mut) {
                keep(function, &["name", "arguments"]);
            }
        }
    }
}

fn keep_known(message: &mut Map<String, Value>) {
    message
        .retain(|field, _| MESSAGE_TEXTS.contains(&field.as_str()) || OF_MESSAGES.contains(&field.as_str()));
}

fn keep(object: &mut Map<String, Value>, known: &[&str]) {
    object.retain(|field, _| known.contains(&field.as_str()));
}

fn choices_of(answer: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let choices = answer.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten();
    choices.filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(message: &Value) -> Map<String, Value> {
        let answer = json!({"choices": [{"index": 0, "message": message, "logprobs": {"content": [1]}, "finish_reason": "stop", "x": 1}]});
        answer.as_object().unwrap().clone()
    }

    fn cut(message: &Value, cap: u64, tokens: u64) -> Value {
        let mut answer = answer(message);
        cut_to(&mut answer, cap, tokens);
        assert_eq!(
            (&answer["choices"][0]["finish_reason"], &answer["choices"][0]["logprobs"]),
            (&json!("length"), &json!(null))
        );
        answer["choices"][0]["message"].clone()
    }

    #[test]
    fn what_is_longer_than_paid_is_cut_to_its_share() {
        let text = json!({"role": "assistant", "content": "häh".repeat(100)});
        assert_eq!(cut(&text, 1, 4)["content"].as_str().unwrap().len(), 100);
        let thought = json!({"content": "b".repeat(60), "reasoning_content": "a".repeat(40), "reasoning_details": ["a"]});
        let expected = json!({"content": "b".repeat(10), "reasoning_content": "a".repeat(40)});
        assert_eq!(cut(&thought, 1, 2), expected);
        let call = |name: &str| json!({"id": name, "function": {"name": name, "arguments": "1".repeat(9)}});
        let calls = json!({"content": null, "tool_calls": [call("f"), call("g"), call("h")]});
        assert_eq!(cut(&calls, 1, 2), json!({"content": null, "tool_calls": [call("f")]}));
        let old = json!({"content": null, "function_call": {"name": "f", "arguments": "1"}});
        assert_eq!(cut(&old, 1, 2), json!({"content": null}));
    }

    #[test]
    fn a_usage_of_any_length_leaves_as_one_that_a_gateway_reads() {
        let billed = TokenUsage { prompt: 3, completion: 2 };
        let long = json!({"completion_tokens": 9, "x": "y".repeat(5000), "prompt_tokens_details": {"cached_tokens": 1},
            "completion_tokens_details": {"z": "y".repeat(2000)}});
        let expected = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 1}});
        assert_eq!(usage(Some(long), billed), expected);
        assert_eq!(usage(Some(json!({"x": 1})), billed)["x"], 1);
    }

    #[test]
    fn what_is_too_large_or_too_deep_for_a_gateway_is_left_out() {
        let mut large = answer(&json!({"content": "hi"}));
        large["choices"][0]["logprobs"] = json!({"content": vec![0; 1_000_000]});
        let text = written(large).unwrap();
        assert!(text.get().contains("hi") && text.get().contains("\"x\":1"), "{text}");
        let mut deep = answer(
            &json!({"content": "hi", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}),
        );
        deep.insert("deep".into(), (0..200).fold(json!(1), |inner, _| json!([inner])));
        let text = written(deep).unwrap();
        assert!(
            text.get().contains("hi") && text.get().contains("arguments") && text.get().len() < 300,
            "{text}"
        );
        let endless = answer(&json!({"content": "x".repeat(17 << 20)}));
        assert!(written(endless).is_err());
    }

    /// What a gateway counts in an answer's text: of arguments it sees the JSON.
    fn most_by_a_gateway(answer: &str) -> u64 {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let function = |call: &Value| {
            let name = call["name"].as_str().unwrap().len();
            (name + call.get("arguments").map_or(0, |arguments| arguments.to_string().len())).max(1) as u64
        };
        let (mut bytes, mut calls) = (0, 0);
        let choices = answer["choices"].as_array().unwrap();
        for message in choices.iter().map(|choice| choice["message"].as_object().unwrap()) {
            let texts = MESSAGE_TEXTS.iter().filter_map(|field| message.get(*field)?.as_str());
            bytes += texts.map(|text| text.len() as u64).sum::<u64>();
            for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                (bytes, calls) = (bytes + call.get("function").map_or(1, function), calls + 1);
            }
            if let Some(call) = message.get("function_call") {
                (bytes, calls) = (bytes + function(call), calls + 1);
            }
        }
        most_completion_tokens(bytes, choices.len() as u64, calls)
    }

    fn message() -> impl Strategy<Value = Value> {
        let texts = prop::collection::vec((prop::sample::select(MESSAGE_TEXTS.to_vec()), ".{0,20}"), 0..4);
        let function = ("[a-z]{0,5}", "(\\PC|\\n|\"){0,10}");
        let calls = prop::collection::vec(prop::option::of(function), 0..3);
        (texts, calls, prop::option::of(function)).prop_map(|(texts, calls, old)| {
            let mut message: Map<String, Value> =
                texts.into_iter().map(|(field, text)| (field.to_owned(), text.into())).collect();
            let function =
                |(name, arguments): (String, String)| json!({"name": name, "arguments": arguments});
            let calls = calls.into_iter().map(|call| match call {
                Some(call) => json!({"id": "a", "type": "function", "function": function(call)}),
                None => json!({"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}),
            });
            message.insert("tool_calls".into(), calls.collect());
            message.extend(old.map(|call| ("function_call".to_owned(), function(call))));
            message.into()
        })
    }

    proptest! {
        #[test]
        fn no_more_is_billed_than_a_gateway_believes(messages in prop::collection::vec(message(), 1..3)) {
            let choices: Value = messages.iter().map(|message| json!({"index": 0, "message": message})).collect();
            let mut answer = json!({ "choices": choices }).as_object().unwrap().clone();
            let most = most_tokens(&mut answer);
            prop_assert!(most <= most_by_a_gateway(written(answer).unwrap().get()));
        }
    }
}
