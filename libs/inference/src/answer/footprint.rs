//! How much memory the fields of an answer take: a backend may write fields of any name and size, and all of an answer is
//! in memory.

use serde_json::{Map, Value};

/// What a value takes beside its text, roughly.
const NODE: usize = 32;

/// About how many bytes a value takes.
fn bytes_of(value: &Value) -> usize {
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes_of).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + bytes_of(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Sets a field; returns by how many bytes the object grew.
pub(super) fn set(object: &mut Map<String, Value>, field: &str, value: Value) -> usize {
    let new = field.len() + bytes_of(&value);
    let old = object.insert(field.to_owned(), value);
    new.saturating_sub(old.map_or(0, |old| field.len() + bytes_of(&old)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_set_again_counts_only_by_what_it_grew() {
        let mut object = Map::new();
        assert_eq!(set(&mut object, "ab", json!("xyz")), 2 + NODE + 3);
        assert_eq!(set(&mut object, "ab", json!("xyz")), 0);
        assert_eq!(set(&mut object, "ab", json!("xyzxyz")), 3);
        assert_eq!(set(&mut object, "ab", json!("")), 0);
        assert_eq!(set(&mut object, "c", json!([1, {"d": null}])), 1 + 4 * NODE + 1);
    }
}
