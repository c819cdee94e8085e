//! The tool calls of one choice, put together from the fragments that a stream brings.
//!
//! OpenAI gives each call an index and, in its first fragment, an id and a name. Backends leave out any of them, give
//! two calls one index, one call many ids, repeat the name, or send a call whole. What a fragment belongs to is decided
//! by what it brings: a name begins a call unless it repeats that of a call that is not complete, and arguments go to a
//! call that still lacks some.

use serde_json::{Map, Value};
use t4t_inference::Refusal;

use crate::metering::DeltaSize;
use crate::weight;

/// More calls than any answer has.
const MAX_CALLS: usize = 1024;

/// Bytes of a made-up id: unique over a conversation, and over all of them.
const ID_BYTES: usize = 12;

/// More calls than [`MAX_CALLS`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyCalls;

impl From<TooManyCalls> for Refusal {
    fn from(_: TooManyCalls) -> Self {
        Self::failed("the answer has too many tool calls")
    }
}

/// The calls in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct ToolCalls(Vec<ToolCall>);

#[derive(Debug, Default)]
struct ToolCall {
    /// `None` where the backend gives none, or one that another call has.
    index: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
    of_function: Map<String, Value>,
    other: Map<String, Value>,
}

/// What a fragment brings.
struct Fragment<'a> {
    index: Option<u64>,
    id: Option<String>,
    name: &'a str,
    /// Whether the fragment before it, in the same delta, was for the last call.
    follows: bool,
}

impl ToolCalls {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.iter().any(ToolCall::is_call)
    }

    /// Takes the `tool_calls` of a delta or of a whole message; returns the bytes that they grew by beside what is
    /// measured into `size`.
    pub(crate) fn merge(&mut self, fragments: &[Value], size: &mut DeltaSize) -> Result<usize, TooManyCalls> {
        let mut grown = 0;
        for (position, fragment) in fragments.iter().filter_map(Value::as_object).enumerate() {
            let before = self.0.len();
            let call = self.call_of(&Fragment::of(fragment, position > 0));
            grown += call.merge(fragment, size);
            size.new_tool_calls += u64::from(self.0.len() > before);
            if self.0.len() > MAX_CALLS {
                return Err(TooManyCalls);
            }
        }
        Ok(grown)
    }

    /// The call that a fragment belongs to.
    fn call_of(&mut self, fragment: &Fragment<'_>) -> &mut ToolCall {
        let known = if fragment.name.is_empty() { self.continued(fragment) } else { self.repeated(fragment) };
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            // An index that is taken says nothing.
            let is_taken = self.0.iter().any(|call| call.index.is_some() && call.index == fragment.index);
            self.0.push(ToolCall { index: fragment.index.filter(|_| !is_taken), ..ToolCall::default() });
        }
        let call = &mut self.0[at];
        if call.index.is_none() && known.is_some() && fragment.name.is_empty() {
            call.index = fragment.index;
        }
        call
    }

    /// The call that a fragment with a name goes on with, if it begins none.
    fn repeated(&self, fragment: &Fragment<'_>) -> Option<usize> {
        if let Some(id) = &fragment.id
            && let Some(same) = self.0.iter().rposition(|call| call.id.as_ref() == Some(id))
        {
            // Some give all of their calls one id.
            let call = &self.0[same];
            let is_another = !call.goes_on_with(fragment.name)
                || (fragment.index.is_some() && call.index.is_some() && call.index != fragment.index);
            return (!is_another).then_some(same);
        }
        let at = match fragment.index {
            Some(index) => self.0.iter().rposition(|call| call.index == Some(index))?,
            // Of two in one delta each is a call of its own.
            None if fragment.follows => return None,
            None => self.0.len().checked_sub(1)?,
        };
        let call = &self.0[at];
        let is_its_own = match (&call.id, &fragment.id) {
            // Another id for the same index is another call, unless the first lacks its end.
            (Some(_), Some(_)) => !call.arguments.is_empty() && call.lacks_arguments(),
            _ => fragment.index.is_some() || call.lacks_arguments(),
        };
        (is_its_own && call.goes_on_with(fragment.name)).then_some(at)
    }

    /// The call that a fragment without a name goes on with.
    fn continued(&self, fragment: &Fragment<'_>) -> Option<usize> {
        let last = self.0.len().checked_sub(1)?;
        if let Some(id) = &fragment.id
            && let Some(same) = self.0.iter().rposition(|call| call.id.as_ref() == Some(id))
        {
            return Some(same);
        }
        let Some(index) = fragment.index else { return Some(last) };
        match self.0.iter().rposition(|call| call.index == Some(index)) {
            // The call of that index has all it needs, and the last one does not.
            Some(named)
                if named != last && !self.0[named].lacks_arguments() && self.0[last].lacks_arguments() =>
            {
                Some(last)
            }
            Some(named) => Some(named),
            // Nobody has that index: it is the call whose own was taken, or the head has not come.
            None => self
                .0
                .iter()
                .rposition(|call| call.index.is_none())
                .or_else(|| (fragment.id.is_none() && self.0[last].lacks_arguments()).then_some(last)),
        }
    }

    /// The calls as a message holds them, each with an id of its own, a type and its arguments as one text.
    pub(crate) fn into_json(self) -> Value {
        let mut ids: Vec<String> = Vec::new();
        let calls = self.0.into_iter().filter(ToolCall::is_call);
        calls
            .map(|mut call| {
                let id = call.id.take().filter(|id| !ids.contains(id)).unwrap_or_else(made_up_id);
                ids.push(id.clone());
                call.into_json(id)
            })
            .collect()
    }
}

fn made_up_id() -> String {
    let mut bytes = [0; ID_BYTES];
    // Without a source of chance the whole program can do nothing; here the text of an answer is at stake, no key.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random numbers; a tool call's id may be there twice");
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("call_{digits}")
}

impl<'a> Fragment<'a> {
    fn of(fragment: &'a Map<String, Value>, follows: bool) -> Self {
        let function = fragment.get("function").and_then(Value::as_object);
        let number = fragment.get("index");
        let index = number.and_then(Value::as_u64).or_else(|| number?.as_str()?.parse().ok());
        let name = function.and_then(|function| function.get("name")).or_else(|| fragment.get("name"));
        Self { index, id: id_of(fragment), name: name.and_then(Value::as_str).unwrap_or_default(), follows }
    }
}

fn id_of(fragment: &Map<String, Value>) -> Option<String> {
    match fragment.get("id")? {
        Value::String(id) if !id.trim().is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

impl ToolCall {
    /// Whether it can be made: what has no name is none.
    fn is_call(&self) -> bool {
        !self.name.is_empty() || self.other.contains_key("custom")
    }

    /// Whether its arguments are not, or not yet, the JSON that they should be.
    fn lacks_arguments(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_err()
    }

    /// Whether a name is this call's, repeated or as the next piece of it.
    fn goes_on_with(&self, name: &str) -> bool {
        self.name.is_empty() || self.name == name || (self.arguments.is_empty() && self.id.is_some())
    }

    fn merge(&mut self, fragment: &Map<String, Value>, size: &mut DeltaSize) -> usize {
        let mut grown = 0;
        if self.id.is_none() {
            self.id = id_of(fragment);
            grown += self.id.as_ref().map_or(0, String::len);
        }
        // Some write name and arguments beside the function, or instead of it.
        let function = fragment.get("function").and_then(Value::as_object);
        let field =
            |name: &str| function.and_then(|function| function.get(name)).or_else(|| fragment.get(name));
        if let Some(name) = field("name").and_then(Value::as_str) {
            self.add_name(name, size);
        }
        match field("arguments") {
            None | Some(Value::Null) => {}
            Some(Value::String(arguments)) => self.add_arguments(arguments, size),
            Some(object) => self.add_arguments(&object.to_string(), size),
        }
        let known = ["index", "id", "type", "function", "name", "arguments"];
        let beside = |fields: &Map<String, Value>, kept: &mut Map<String, Value>| -> usize {
            let unknown =
                fields.iter().filter(|(field, value)| !known.contains(&field.as_str()) && !value.is_null());
            unknown.map(|(field, value)| weight::set(kept, field, value)).sum()
        };
        if let Some(function) = function {
            grown += beside(function, &mut self.of_function);
        }
        grown + beside(fragment, &mut self.other)
    }

    /// A name comes once, in each fragment again, or in pieces.
    fn add_name(&mut self, name: &str, size: &mut DeltaSize) {
        if name == self.name || !self.arguments.is_empty() && !self.name.is_empty() {
            return;
        }
        let piece = name.strip_prefix(self.name.as_str()).filter(|_| !self.name.is_empty()).unwrap_or(name);
        size.add(piece);
        self.name.push_str(piece);
    }

    fn add_arguments(&mut self, arguments: &str, size: &mut DeltaSize) {
        size.add(arguments);
        self.arguments.push_str(arguments);
    }

    fn into_json(self, id: String) -> Value {
        let mut call = self.other;
        call.insert("id".into(), id.into());
        if self.name.is_empty() {
            call.insert("type".into(), "custom".into());
            return Value::Object(call);
        }
        // Apps parse the arguments also of a tool that takes none.
        let arguments = if self.arguments.trim().is_empty() { "{}".to_owned() } else { self.arguments };
        let mut function = self.of_function;
        function.insert("name".into(), self.name.into());
        function.insert("arguments".into(), arguments.into());
        call.insert("type".into(), "function".into());
        call.insert("function".into(), function.into());
        Value::Object(call)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    /// The calls' names and arguments; that all ids differ is checked.
    fn unnamed(deltas: &[Value]) -> Vec<(String, String)> {
        let calls = merged(deltas);
        let calls = calls.as_array().unwrap();
        let ids: std::collections::HashSet<_> =
            calls.iter().map(|call| call["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), calls.len(), "{calls:?}");
        assert!(ids.iter().all(|id| !id.is_empty()));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        calls
            .iter()
            .map(|call| (text(&call["function"]["name"]), text(&call["function"]["arguments"])))
            .collect()
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
        let many: Vec<Value> =
            (0..2000).map(|index| json!({"index": index, "function": {"name": "f"}})).collect();
        let refused = ToolCalls::default().merge(&many, &mut DeltaSize::default());
        assert_eq!(refused, Err(TooManyCalls));
    }
}
