//! One tool call while it comes.

use serde_json::{Map, Value};

use super::fragment::{Fragment, FunctionPart};
use crate::answer::footprint;
use crate::answer::lenient::{Found, Others};
use crate::answer::size::DeltaSize;

#[derive(Debug, Default)]
pub(super) struct ToolCall {
    /// `None` where the backend gives none, or one that another call has.
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    name: String,
    arguments: String,
    of_function: Map<String, Value>,
    other: Map<String, Value>,
}

impl ToolCall {
    pub(super) fn new(index: Option<u64>) -> Self {
        Self { index, ..Self::default() }
    }

    /// Whether it can be made: what has no name is none.
    pub(super) fn is_call(&self) -> bool {
        !self.name.is_empty() || self.other.contains_key("custom")
    }

    /// Whether its arguments have not begun.
    pub(super) fn has_no_arguments(&self) -> bool {
        self.arguments.is_empty()
    }

    /// Whether its arguments are not, or not yet, the JSON that they should be.
    pub(super) fn lacks_arguments(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_err()
    }

    /// Whether a name is this call's, repeated or as the next piece of it.
    pub(super) fn goes_on_with(&self, name: &str) -> bool {
        self.name.is_empty() || self.name == name || (self.arguments.is_empty() && self.id.is_some())
    }

    /// Adds a fragment; returns the bytes that it grew by beside what is measured into `size`.
    pub(super) fn merge(&mut self, fragment: Fragment<'_>, size: &mut DeltaSize) -> usize {
        let mut grown = 0;
        let Fragment { id, function, beside, .. } = fragment;
        if self.id.is_none() {
            self.id = id.map(Into::into);
            grown += self.id.as_ref().map_or(0, String::len);
        }
        let FunctionPart { name, arguments, others } = function.unwrap_or_default();
        if let Some(name) = name.or(beside.name).as_str() {
            self.add_name(name, size);
        }
        match arguments.or(beside.arguments) {
            Found::Nothing => {}
            Found::Text(arguments) => self.add_arguments(&arguments, size),
            Found::Other(object) => self.add_arguments(&object.to_string(), size),
        }
        grown + keep(others, &mut self.of_function) + keep(beside.others, &mut self.other)
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

    /// The call as a message holds it.
    pub(super) fn into_json(self, id: String) -> Value {
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

fn keep(others: Others<'_>, kept: &mut Map<String, Value>) -> usize {
    others.into_iter().map(|(field, value)| footprint::set(kept, &field, value.into_value())).sum()
}
