//! Changes leave all else as it came, and come to what they come to in a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn edit(text: &str) -> Edit {
    Edit::read(JsonText::read_before(Bytes::from(text.to_owned())).unwrap()).unwrap()
}

fn without(text: &str, names: &[&str]) -> String {
    let mut edit = edit(text);
    names.iter().for_each(|name| edit.remove(name));
    edit.finish().as_str().to_owned()
}

#[test]
fn a_member_goes_with_one_comma_wherever_it_stands() {
    let text = r#" { "a" : 1.50 , "b":[2, {}] ,"c" :"x"} "#;
    assert_eq!(without(text, &["a"]), r#" { "b":[2, {}] ,"c" :"x"} "#);
    assert_eq!(without(text, &["b"]), r#" { "a" : 1.50 ,"c" :"x"} "#);
    assert_eq!(without(text, &["c"]), r#" { "a" : 1.50 , "b":[2, {}]} "#);
    assert_eq!(without(text, &["a", "b"]), r#" { "c" :"x"} "#);
    assert_eq!(without(text, &["b", "c"]), r#" { "a" : 1.50} "#);
    assert_eq!(without(text, &["a", "b", "c"]), r#" { } "#);
    assert_eq!(without(r#"{"a":1}"#, &["a"]), "{}");
    assert_eq!(without(text, &["x"]), text);
}

#[test]
fn a_member_is_set_where_it_stands_or_behind_all_others() {
    let mut changed = edit(r#"{"z":1.50, "m":"x", "big":123456789012345678901234567890}"#);
    changed.set("m", r#""y""#);
    changed.set("n", "1");
    changed.set("n", "2");
    assert_eq!((changed.get("m"), changed.get("n"), changed.get("o")), (Some(r#""y""#), Some("2"), None));
    assert_eq!(changed.names().collect::<Vec<_>>(), ["z", "m", "big", "n"]);
    let expected = r#"{"z":1.50, "m":"y", "big":123456789012345678901234567890,"n":2}"#;
    assert_eq!(changed.finish().as_str(), expected);
    changed.remove("n");
    changed.remove("m");
    changed.set("m", "3");
    assert_eq!(changed.finish().as_str(), r#"{"z":1.50, "big":123456789012345678901234567890,"m":3}"#);
    for empty in ["{}", "{ }"] {
        let mut empty = edit(empty);
        empty.set("a", "1");
        empty.set("b\"", "2");
        assert_eq!(empty.finish().as_str().replace(' ', ""), r#"{"a":1,"b\"":2}"#);
    }
    let mut only = edit(r#"{"a":1}"#);
    only.remove("a");
    only.set("b", "2");
    assert_eq!(only.finish().as_str(), r#"{"b":2}"#);
}

#[test]
fn of_a_repeated_name_only_the_last_is_left() {
    let changed = edit(r#"{"a":1,"b":2,"\u0061":3}"#);
    assert_eq!(changed.get("a"), Some("3"));
    assert_eq!(changed.finish().as_str(), r#"{"b":2,"\u0061":3}"#);
}

#[test]
fn what_is_not_changed_is_not_copied() {
    let text = JsonText::read_before(Bytes::from_static(br#"{"a":1}"#)).unwrap();
    let same = Edit::read(text.clone()).unwrap();
    assert_eq!(same.finish().bytes().as_ptr(), text.bytes().as_ptr());
    assert!(Edit::read(JsonText::read_before(Bytes::from_static(b"[]")).unwrap()).is_err());
}

proptest! {
    #[test]
    fn any_changes_come_to_what_they_come_to_in_a_map(
        names in prop::collection::vec("[a-d]", 0..6),
        changes in prop::collection::vec(("[a-e]", any::<bool>()), 0..8),
    ) {
        let members: Vec<_> = names.iter().enumerate().map(|(at, name)| format!(" \"{name}\" : {at} ")).collect();
        let text = format!("{{{}}}", members.join(","));
        let mut changed = edit(&text);
        let mut map: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        for (at, (name, is_set)) in changes.iter().enumerate() {
            if *is_set {
                changed.set(name, (at + 100).to_string());
                map.insert(name.clone(), (at + 100).into());
            } else {
                changed.remove(name);
                map.remove(name);
            }
        }
        let finished = changed.finish();
        prop_assert!(finished.as_str().len() <= changed.most_bytes());
        prop_assert_eq!(finished.as_str().matches('"').count(), 2 * map.len());
        prop_assert_eq!(serde_json::from_str::<BTreeMap<String, Value>>(finished.as_str()).unwrap(), map);
    }
}
