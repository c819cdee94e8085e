//! Which pictures, sounds and files are inside the request, and which a backend would have to fetch.
//!
//! A backend that fetched them would knock at any door of its own network that a stranger names, read its own files,
//! and tell in its error what is behind. So what may stand in a part is listed, and nothing else passes.

use serde_json::{Map, Value};

use super::RequestFault;

/// Fields of a part that hold text, or small things that nobody fetches.
const TEXTS: [&str; 22] = [
    "type",
    "text",
    "refusal",
    "thinking",
    "reasoning",
    "reasoning_content",
    "summary",
    "signature",
    "encrypted_content",
    "cache_control",
    "annotations",
    "citations",
    "id",
    "name",
    "title",
    "index",
    "detail",
    "format",
    "status",
    "tool_use_id",
    "tool_call_id",
    "is_error",
];

/// Fields of a part that hold a medium.
const MEDIA: [&str; 14] = [
    "image_url",
    "input_image",
    "image",
    "audio_url",
    "input_audio",
    "audio",
    "video_url",
    "input_video",
    "video",
    "file",
    "file_url",
    "input_file",
    "file_data",
    "source",
];

/// Fields of a medium that hold its bytes in base64.
const BYTES: [&str; 4] = ["data", "file_data", "b64_json", "base64"];

/// Fields of a medium that hold it, or its address.
const ADDRESSES: [&str; 7] = ["url", "image_url", "audio_url", "video_url", "image", "audio", "video"];

/// Fields of a medium that describe it.
const DESCRIPTIONS: [&str; 12] = [
    "detail",
    "format",
    "media_type",
    "mime_type",
    "type",
    "filename",
    "name",
    "fps",
    "width",
    "height",
    "max_pixels",
    "min_pixels",
];

/// Fields of a message that hold no media.
const OF_MESSAGES: [&str; 18] = [
    "role",
    "name",
    "tool_calls",
    "tool_call_id",
    "tool_name",
    "tool_plan",
    "function_call",
    "refusal",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thinking",
    "annotations",
    "cache_control",
    "extra_content",
    "provider_specific_fields",
    "metadata",
    "prefix",
];

/// The first part of a message that is not inline.
pub(super) fn foreign_in_message(message: &Value, at: &str) -> Option<RequestFault> {
    let fields = message.as_object()?;
    fields.iter().find_map(|(name, value)| match name.as_str() {
        "content" => foreign_in_content(value, &format!("{at}.content")),
        known if OF_MESSAGES.contains(&known) => None,
        // Who knows what a backend does with it: it passes as long as it could not be an address.
        _ => holds_address(value).then(|| foreign(&format!("{at}.{name}"))),
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

fn foreign(at: &str) -> RequestFault {
    let problem = format!(
        "{at} is not inside the request: send pictures, sounds and files inline, as data: URLs such as \
         {{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:image/png;base64,…\"}}}}"
    );
    RequestFault::new(at, "invalid_value", problem)
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
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n ".contains(&byte);
    value.as_str().is_some_and(|text| is_data(text) || text.bytes().all(is_digit))
}

fn is_data(text: &str) -> bool {
    text.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Whether some text in it could be an address or a path.
fn holds_address(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = text.trim_start();
            !is_data(text)
                && (text.contains("://") || text.starts_with(['/', '\\', '~']) || text.starts_with("file:"))
        }
        Value::Array(items) => items.iter().any(holds_address),
        Value::Object(fields) => fields.values().any(holds_address),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Fields of a tool that is a function of the app's.
const OF_TOOLS: [&str; 5] = ["type", "function", "custom", "strict", "cache_control"];

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

fn no_function(at: &str, why: &str) -> RequestFault {
    RequestFault::new(at, "invalid_value", format!("{at} {why}: only functions of the app are served"))
}
