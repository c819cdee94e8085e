//! The canonical text of a value.

use super::{JsString, Json, JsonObject};

/// The canonical text: keys in order, no white space, strings and numbers as JavaScript's `JSON.stringify` writes them.
///
/// Two parties that read the same JSON text get the same canonical text, whatever language they are written in.
pub fn canonicalize(value: &Json) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Json) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(true) => text.push_str("true"),
        Json::Bool(false) => text.push_str("false"),
        Json::Number(number) => text.push_str(ryu_js::Buffer::new().format_finite(number.get())),
        Json::String(string) => write_string(text, string),
        Json::Array(items) => write_array(text, items),
        Json::Object(members) => write_object(text, members),
    }
}

fn write_array(text: &mut String, items: &[Json]) {
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_value(text, item);
    }
    text.push(']');
}

fn write_object(text: &mut String, members: &JsonObject) {
    text.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(text, key);
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
}

fn write_string(text: &mut String, string: &JsString) {
    text.push('"');
    for character in char::decode_utf16(string.units().iter().copied()) {
        match character {
            Ok(character) => write_character(text, character),
            Err(lone) => write_escaped(text, lone.unpaired_surrogate()),
        }
    }
    text.push('"');
}

fn write_character(text: &mut String, character: char) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\u{8}' => text.push_str("\\b"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\u{c}' => text.push_str("\\f"),
        '\r' => text.push_str("\\r"),
        '\0'..='\u{1f}' => write_escaped(text, character as u16),
        _ => text.push(character),
    }
}

fn write_escaped(text: &mut String, unit: u16) {
    text.push_str(&format!("\\u{unit:04x}"));
}
