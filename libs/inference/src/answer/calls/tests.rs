use serde::de::DeserializeSeed;
use serde_json::json;

use super::*;
use crate::answer::lenient::Read;

fn fragments(text: &str) -> Vec<Fragment<'_>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fragments: Fragments<'_> = Read::NEW.deserialize(&mut json).unwrap();
    fragments.0
}

fn merged(deltas: &[Value]) -> Value {
    let mut calls = ToolCalls::default();
    let mut size = DeltaSize::default();
    for delta in deltas {
        calls.merge(fragments(&delta.to_string()), &mut size).unwrap();
    }
    calls.into_json()
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// The calls' names and arguments; that all ids differ is checked.
fn unnamed(deltas: &[Value]) -> Vec<(String, String)> {
    let calls = merged(deltas);
    let calls = calls.as_array().unwrap();
    let ids: std::collections::HashSet<_> = calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), calls.len(), "{calls:?}");
    assert!(ids.iter().all(|id| !id.is_empty()));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    calls.iter().map(|call| (text(&call["function"]["name"]), text(&call["function"]["arguments"]))).collect()
}

fn two() -> Vec<(String, String)> {
    vec![("f".into(), "{\"x\":1}".into()), ("g".into(), "{}".into())]
}

#[test]
fn fragments_of_parallel_calls_are_joined_by_index() {
    let deltas = [
        json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]),
        json!([{"index": 0, "function": {"arguments": "{\"x\""}}]),
        json!([{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"arguments": "{}"}}]),
    ];
    assert_eq!(merged(&deltas), json!([call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]));
}

#[test]
fn parallel_calls_without_index_or_id_stay_apart_and_get_ids_of_their_own() {
    let whole = |id: Value| {
        json!([{"id": id, "function": {"name": "f", "arguments": "{\"x\":1}"}},
            {"id": id, "function": {"name": "g", "arguments": "{}"}}])
    };
    assert_eq!(unnamed(&[whole(json!(""))]), two());
    assert_eq!(unnamed(&[whole(json!(null))]), two());
    assert_eq!(unnamed(&[whole(json!("same"))]), two());
    let same_name = json!([{"function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "f", "arguments": "{}"}}]);
    assert_eq!(unnamed(&[same_name]).len(), 2);
    let one_after_the_other = [
        json!([{"function": {"name": "f", "arguments": "{\"x\""}}]),
        json!([{"function": {"arguments": ":1}"}}]),
        json!([{"function": {"name": "g", "arguments": ""}}]),
        json!([{"function": {"arguments": "{}"}}]),
    ];
    assert_eq!(unnamed(&one_after_the_other), two());
    let under_one_index = [
        json!([{"index": 0, "function": {"name": "f", "arguments": "{\"x\":1}"}}]),
        json!([{"index": 0, "function": {"name": "g", "arguments": "{}"}}]),
    ];
    assert_eq!(unnamed(&under_one_index), two());
}

#[test]
fn made_up_ids_differ_from_turn_to_turn() {
    let turn = || merged(&[json!([{"function": {"name": "f"}}])])[0]["id"].clone();
    assert_ne!(turn(), turn());
}

#[test]
fn a_missing_index_type_or_id_is_repaired() {
    let by_id = [
        json!([{"id": "a", "type": null, "function": {"name": "f", "arguments": "1"}}]),
        json!([{"id": "b", "function": {"name": "g", "arguments": "2"}}]),
    ];
    assert_eq!(merged(&by_id), json!([call("a", "f", "1"), call("b", "g", "2")]));
    let numbered = [json!([{"index": "0", "id": 7, "function": {"name": "f", "arguments": null}}])];
    assert_eq!(merged(&numbered), json!([call("7", "f", "{}")]));
}

#[test]
fn calls_that_share_an_index_are_told_apart_by_their_ids() {
    let deltas = [
        json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "1"}}]),
        json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "2"}}]),
        json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "3"}}]),
    ];
    assert_eq!(merged(&deltas), json!([call("a", "f", "1"), call("b", "f", "23")]));
}

#[test]
fn a_head_and_its_arguments_under_two_indices_are_one_call() {
    let heads = [
        json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]),
        json!([{"index": 0, "id": "b", "function": {"name": "g", "arguments": ""}}]),
    ];
    for index in [json!(1), json!(0), json!(null), json!(7)] {
        let arguments = [
            json!([{"index": index, "function": {"arguments": "{"}}]),
            json!([{"index": index, "function": {"arguments": "}"}}]),
        ];
        let calls = merged(&[heads.as_slice(), arguments.as_slice()].concat());
        assert_eq!(calls, json!([call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]), "{index}");
    }
    let moved = [
        json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": ""}}]),
        json!([{"index": 0, "function": {"arguments": "{\"y\":2}"}}]),
    ];
    assert_eq!(merged(&moved), json!([call("a", "f", "{}"), call("b", "g", "{\"y\":2}")]));
}

#[test]
fn an_id_or_a_name_in_every_fragment_makes_no_new_call() {
    let fragment = |id: &str, name: Value, arguments: &str| json!([{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]);
    let repeated = [
        fragment("a", json!("f"), ""),
        fragment("a", json!("f"), "{\"x\":"),
        fragment("a", json!("f"), "1}"),
    ];
    assert_eq!(merged(&repeated), json!([call("a", "f", "{\"x\":1}")]));
    let new_ids = [
        fragment("a", json!("f"), "{\"x\""),
        fragment("b", json!(null), ":"),
        fragment("c", json!(""), "1}"),
    ];
    assert_eq!(merged(&new_ids), json!([call("a", "f", "{\"x\":1}")]));
    let all_new = [fragment("a", json!("f"), "{\"x\""), fragment("b", json!("f"), ":1}")];
    assert_eq!(merged(&all_new), json!([call("a", "f", "{\"x\":1}")]));
    let in_pieces = [fragment("a", json!("get_"), ""), fragment("a", json!("weather"), "{}")];
    assert_eq!(merged(&in_pieces), json!([call("a", "get_weather", "{}")]));
}

#[test]
fn what_stands_beside_the_function_and_in_it_is_kept() {
    let whole = [
        json!([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}, "strict": true}, "extra_content": {"google": 1}}]),
    ];
    let mut expected = call("a", "f", "{\"x\":1}");
    expected["extra_content"] = json!({"google": 1});
    expected["function"]["strict"] = json!(true);
    assert_eq!(merged(&whole), json!([expected]));
    let custom = [json!([{"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}])];
    assert_eq!(
        merged(&custom),
        json!([{"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}])
    );
}

#[test]
fn what_has_no_name_is_no_call() {
    let nameless = [json!([{"index": 3, "id": "a", "function": {"arguments": "{}"}}])];
    assert_eq!(merged(&nameless), json!([]));
    let flat = [json!([{"name": "f", "arguments": {"x": 1}}])];
    assert_eq!(unnamed(&flat), [("f".to_owned(), "{\"x\":1}".to_owned())]);
}

#[test]
fn calls_without_end_are_refused() {
    let many: Value = (0..2000).map(|index| json!({"index": index, "function": {"name": "f"}})).collect();
    let refused = ToolCalls::default().merge(fragments(&many.to_string()), &mut DeltaSize::default());
    assert_eq!(refused, Err(TooManyCalls));
}
