//! The scan finds what the readers found that built trees.

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::tree;

/// Both readings of a request agree, in what they find and in what they refuse.
fn agree(text: &str) -> Result<(), TestCaseError> {
    let value: Value = serde_json::from_str(text).unwrap();
    let raw = RawValue::from_string(text.to_owned()).unwrap();
    let reading = Reading::of(text.to_owned().into()).unwrap();
    prop_assert_eq!(reading.prompt(), tree::size_of(text.len(), &value), "{}", text);
    prop_assert_eq!(reading.extent, Extent::of(text.as_bytes()));
    match (reading.judge(), tree::Asked::read(&raw)) {
        (Ok(scan), Ok(tree)) => {
            prop_assert_eq!((scan.choices, scan.max_tokens), (tree.choices, tree.max_tokens), "{}", text);
            prop_assert_eq!(scan.foreign_media, tree.foreign_media, "{}", text);
        }
        (Err(scan), Err(tree)) => prop_assert_eq!(scan, tree, "{}", text),
        (scan, tree) => prop_assert!(false, "{text}: {scan:?} but {tree:?}"),
    }
    Ok(())
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        Just("data:image/png;base64,AA==".to_owned()),
        Just("http://a".to_owned()),
        Just("/etc/passwd".to_owned()),
        Just("AA+/".to_owned()),
        Just("function".to_owned()),
        Just("a\n\"\\\u{1}é😀".to_owned()),
    ]
}

fn names() -> impl Strategy<Value = String> {
    let known = [
        "text",
        "type",
        "content",
        "image_url",
        "url",
        "data",
        "file",
        "file_data",
        "detail",
        "refusal",
        "source",
        "function",
        "custom",
        "name",
        "id",
        "role",
        "tool_calls",
        "images",
        "Content",
        "format",
        "x",
        "strict",
    ];
    prop_oneof![9 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => words().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names(), inner, 0..5).prop_map(|fields| json!(fields)),
        ]
    })
}

fn message() -> impl Strategy<Value = Value> {
    let content = prop_oneof![
        words().prop_map(Value::from),
        prop::collection::vec(anything(), 0..4).prop_map(Value::from),
        anything(),
    ];
    prop_oneof![
        9 => (content, prop::collection::btree_map(names(), anything(), 0..4)).prop_map(|(content, mut fields)| {
            fields.insert("content".to_owned(), content);
            json!(fields)
        }),
        1 => anything(),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        (0_u64..200).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9_i64..200).prop_map(|number| json!(number as f64)),
        scalar(),
    ]
}

fn request() -> impl Strategy<Value = Value> {
    let fields = [
        (
            "messages",
            prop_oneof![9 => prop::collection::vec(message(), 0..4).prop_map(Value::from), 1 => anything()]
                .boxed(),
        ),
        (
            "tools",
            prop_oneof![prop::collection::vec(anything(), 0..4).prop_map(Value::from), anything()].boxed(),
        ),
        ("functions", anything().boxed()),
        (
            "stop",
            prop_oneof![
                words().prop_map(Value::from),
                prop::collection::vec(words(), 0..20).prop_map(Value::from),
                anything()
            ]
            .boxed(),
        ),
        ("n", number().boxed()),
        ("max_tokens", number().boxed()),
        ("max_completion_tokens", number().boxed()),
        ("stream_options", anything().boxed()),
        ("model", scalar().boxed()),
        ("Model", scalar().boxed()),
        ("top_k", anything().boxed()),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let weight = if name == "Model" { 0.03 } else { 0.5 };
            prop::option::weighted(weight, value).prop_map(move |value| (name, value))
        })
        .collect();
    fields.prop_map(|fields| {
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(fields.collect())
    })
}

proptest! {
    #[test]
    fn any_request_is_read_as_the_trees_read_it(request in request(), is_pretty: bool) {
        let text = if is_pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) };
        agree(&text.unwrap())?;
    }

    #[test]
    fn fields_given_twice_are_found_where_the_trees_found_them(
        path in prop::sample::select(vec![
            r#"{"messages":[{"content":[X]}]}"#,
            r#"{"messages":[{"content":[{"text":"a","image_url":X}]}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_result","content":X}]}]}"#,
            r#"{"messages":[{"content":[{"type":"tool_result","content":[X]}]}]}"#,
            r#"{"messages":[X,{"role":"user","role":"user"}]}"#,
            r#"{"stream_options":X}"#,
            "X",
        ]),
        names in prop::collection::vec(names(), 1..4),
        inner in prop::collection::vec(names(), 0..3),
    ) {
        let object = |names: &[String], value: &str| {
            let fields: Vec<_> = names.iter().map(|name| format!("{}:{value}", json!(name))).collect();
            format!("{{{}}}", fields.join(","))
        };
        let text = path.replace('X', &object(&names, &object(&inner, "null")));
        let raw = RawValue::from_string(text.clone()).unwrap();
        let scan = Reading::of(text.clone().into()).unwrap().judge();
        let tree = tree::Asked::read(&raw);
        prop_assert_eq!(scan.map(drop), tree.map(drop), "{}", text);
    }
}

#[test]
fn the_corners_are_read_as_the_trees_read_them() {
    for text in [
        "{}",
        r#"{"messages":null}"#,
        r#"{"messages":"x"}"#,
        r#"{"messages":[null,1]}"#,
        r#"{"messages":[{"content":{"a":"é","b":1.0}}]}"#,
        r#"{"messages":[{"content":{"type":"image","image":"http://a"}}]}"#,
        r#"{"messages":[{"content":-0.0},{"content":true}]}"#,
        r#"{"a":[0.1,1e300,123456789012345678901,1.10,-0,1E5,12345678901234567890]}"#,
        r#"{"messages":[{"content":[{"type":"image_url","text":"","image_url":{"url":"data:x"}},7,"a",[]]}]}"#,
        r#"{"n":3.0,"max_tokens":1e300}"#,
    ] {
        agree(text).unwrap();
    }
}
