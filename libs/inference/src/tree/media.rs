//! Which pictures, sounds and files are inside the request, and which a backend would have to fetch.
//!
//! A backend that fetched them would knock at any door of its own network that a stranger names, read its own files,
//! and tell in its error what is behind. So what may stand in a part is listed, and nothing else passes.

use serde_json::{Map, Value};

use crate::fault::RequestFault;
use crate::media::*;

/// The first part of a message that is not inline.
pub(super) fn foreign_in_message(message: &Value, at: &str) -> Option<RequestFault> {
    let fields = message.as_object()?;
    fields.iter().find_map(|(name, value)| match name.as_str() {
        "content" => foreign_in_content(value, &format!("{at}.content")),
        known if OF_MESSAGES.contains(&known) => None,
        // Who knows what a backend does with it: it passes as long as it could not be an address.
        _ => holds_address(value).then(|| foreign(format!("{at}.{name}"))),
    })
}

fn foreign_in_content(content: &Value, at: &str) -> Option<RequestFault> {
    match content {
        Value::Array(parts) => {
            parts.iter().enumerate().find_map(|(index, part)| foreign_part(part, &format!("{at}[{index}]")))
        }
        Value::Object(_) => foreign_part(content, at),
        _ => None,
    }
}

fn foreign_part(part: &Value, at: &str) -> Option<RequestFault> {
    let fields = match part {
        Value::String(_) => return None,
        Value::Object(fields) => fields,
        _ => return Some(foreign(at)),
    };
    fields.iter().find_map(|(name, value)| match name.as_str() {
        "content" => foreign_in_content(value, &format!("{at}.content")),
        text if TEXTS.contains(&text) => None,
        "data" if is_bytes(value) => None,
        medium if MEDIA.contains(&medium) && is_inline(value) => None,
        _ => Some(foreign(at)),
    })
}

fn is_inline(medium: &Value) -> bool {
    match medium {
        Value::Null => true,
        Value::String(text) => is_data(text),
        Value::Array(items) => items.iter().all(is_inline),
        Value::Object(fields) => describes_inline(fields),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn describes_inline(fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(name, value)| match name.as_str() {
        name if BYTES.contains(&name) => is_bytes(value),
        name if ADDRESSES.contains(&name) => is_inline(value),
        name if DESCRIPTIONS.contains(&name) => {
            !value.is_object() && !value.is_array() && !holds_address(value)
        }
        _ => false,
    })
}

fn is_bytes(value: &Value) -> bool {
    value.as_str().is_some_and(holds_bytes)
}

/// Whether some text in it could be an address or a path.
fn holds_address(value: &Value) -> bool {
    match value {
        Value::String(text) => is_address(text),
        Value::Array(items) => items.iter().any(holds_address),
        Value::Object(fields) => fields.values().any(holds_address),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The first tool that is no function of the app's: a backend that knew it would search, dial or run something.
pub(super) fn foreign_tool(tools: &Value) -> Option<RequestFault> {
    let tools = match tools {
        Value::Null => return None,
        Value::Array(tools) => tools,
        _ => return Some(no_function("tools", "is not an array of functions")),
    };
    tools.iter().enumerate().find_map(|(index, tool)| {
        let at = format!("tools[{index}]");
        let kind = match tool.get("type") {
            None | Some(Value::Null) => "function",
            Some(kind) => kind.as_str().unwrap_or_default(),
        };
        if !matches!(kind, "function" | "custom") {
            return Some(no_function(&format!("{at}.type"), &format!("is {kind:?}")));
        }
        if !tool.get(kind).is_some_and(Value::is_object) {
            return Some(no_function(&at, &format!("has no {kind}")));
        }
        // A word or a number beside it, which some clients add, makes no backend do anything.
        let does_something = |value: &Value| value.is_object() || value.is_array() || value.is_boolean();
        let mut others = tool.as_object()?.iter().filter(|(field, _)| !OF_TOOLS.contains(&field.as_str()));
        let (other, _) = others.find(|(_, value)| does_something(value))?;
        Some(no_function(&format!("{at}.{other}"), "is not a field of a function"))
    })
}
