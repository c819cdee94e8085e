//! The tool calls of one choice, put together from the fragments that a stream brings.

use serde_json::{Map, Value, json};

use crate::metering::DeltaSize;
use crate::weight;

/// More calls than any answer has.
const MAX_CALLS: usize = 1024;

/// More calls than [`MAX_CALLS`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyCalls;

/// The calls in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls(Vec<ToolCall>);

#[derive(Debug, Default)]
struct ToolCall {
    index: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
    other: Map<String, Value>,
}

impl ToolCalls {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the `tool_calls` of a delta or of a whole message; returns the bytes that they grew by beside what is
    /// measured into `size`.
    pub(crate) fn merge(&mut self, fragments: &[Value], size: &mut DeltaSize) -> Result<usize, TooManyCalls> {
        let mut grown = 0;
        for fragment in fragments.iter().filter_map(Value::as_object) {
            let before = self.0.len();
            let call = self.call_of(fragment);
            grown += call.merge(fragment, size);
            size.new_tool_calls += u64::from(self.0.len() > before);
            if self.0.len() > MAX_CALLS {
                return Err(TooManyCalls);
            }
        }
        Ok(grown)
    }

    /// The call that a fragment belongs to. Backends leave the index out, or give every call the index 0 and an id of
    /// its own.
    fn call_of(&mut self, fragment: &Map<String, Value>) -> &mut ToolCall {
        let index = fragment.get("index").and_then(Value::as_u64);
        let id = fragment.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let known = match (index, id) {
            (None, None) => self.0.len().checked_sub(1),
            _ => self.0.iter().rposition(|call| call.is_named(index, id)),
        };
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(ToolCall { index, ..ToolCall::default() });
        }
        &mut self.0[at]
    }

    /// The calls as a message holds them, each with an id, a type and its arguments as one text.
    pub(crate) fn into_json(self) -> Value {
        self.0.into_iter().enumerate().map(|(position, call)| call.into_json(position)).collect()
    }
}

impl ToolCall {
    fn is_named(&self, index: Option<u64>, id: Option<&str>) -> bool {
        let same_id = match (&self.id, id) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        };
        same_id && (index.is_none() || self.index.is_none() || self.index == index)
    }

    fn merge(&mut self, fragment: &Map<String, Value>, size: &mut DeltaSize) -> usize {
        let mut grown = 0;
        if let Some(id) = fragment.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())
            && self.id.is_none()
        {
            grown += id.len();
            self.id = Some(id.to_owned());
        }
        let function = fragment.get("function").and_then(Value::as_object);
        if let Some(name) = function.and_then(|function| function.get("name")).and_then(Value::as_str)
            && self.name.is_empty()
        {
            size.add(name);
            self.name.push_str(name);
        }
        match function.and_then(|function| function.get("arguments")) {
            None | Some(Value::Null) => {}
            Some(Value::String(arguments)) => self.add_arguments(arguments, size),
            Some(object) => self.add_arguments(&object.to_string(), size),
        }
        let known = ["index", "id", "type", "function"];
        let other = fragment.iter().filter(|(field, _)| !known.contains(&field.as_str()));
        grown + other.map(|(field, value)| weight::set(&mut self.other, field, value)).sum::<usize>()
    }

    fn add_arguments(&mut self, arguments: &str, size: &mut DeltaSize) {
        size.add(arguments);
        self.arguments.push_str(arguments);
    }

    fn into_json(self, position: usize) -> Value {
        let mut call = self.other;
        call.insert("id".into(), self.id.unwrap_or_else(|| format!("call_{position}")).into());
        call.insert("type".into(), "function".into());
        call.insert("function".into(), json!({"name": self.name, "arguments": self.arguments}));
        Value::Object(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(deltas: &[Value]) -> Value {
        let mut calls = ToolCalls::default();
        let mut size = DeltaSize::default();
        for delta in deltas {
            calls.merge(delta.as_array().unwrap(), &mut size).unwrap();
        }
        calls.into_json()
    }

    fn call(id: &str, name: &str, arguments: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    #[test]
    fn fragments_are_joined_by_their_index() {
        let deltas = [
            json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]),
            json!([{"index": 1, "id": "b", "function": {"name": "g"}}, {"index": 0, "function": {"arguments": "{\"x\""}}]),
            json!([{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"arguments": "{}"}}]),
        ];
        assert_eq!(merged(&deltas), json!([call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]));
    }

    #[test]
    fn a_missing_index_type_or_id_is_repaired() {
        let deltas = [json!([{"function": {"name": "f"}}]), json!([{"function": {"arguments": "{}"}}])];
        assert_eq!(merged(&deltas), json!([call("call_0", "f", "{}")]));
        let by_id = [
            json!([{"id": "a", "type": null, "function": {"name": "f", "arguments": "1"}}]),
            json!([{"id": "b", "function": {"name": "g", "arguments": "2"}}]),
        ];
        assert_eq!(merged(&by_id), json!([call("a", "f", "1"), call("b", "g", "2")]));
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
    fn arguments_that_came_as_an_object_become_a_text() {
        let whole = [json!([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}, "extra": 1}])];
        let mut expected = call("a", "f", "{\"x\":1}");
        expected["extra"] = json!(1);
        assert_eq!(merged(&whole), json!([expected]));
    }

    #[test]
    fn calls_without_end_are_refused() {
        let many: Vec<Value> = (0..2000).map(|index| json!({"index": index})).collect();
        let refused = ToolCalls::default().merge(&many, &mut DeltaSize::default());
        assert_eq!(refused, Err(TooManyCalls));
    }
}
