//! How many tokens a prompt and an answer may have: an estimate that both sides make by the same rule, and bounds.
//!
//! In integers: characters of the messages, never a tokenizer. A provider that counted otherwise would answer more than
//! it is paid for.

use crate::media::{COUNTED_MEDIA as MEDIA, MEDIUM_DATA};
use crate::size::*;
use serde_json::Value;

/// Estimates the tokens of a chat request's prompt: a quarter of its characters, 16 for each message and 4,096 for each
/// picture among them, and of the bytes beyond 16 KiB that stand elsewhere (in tools, in calls of them, in a part beside
/// its text), at least [`MIN_PROMPT_TOKENS`].
pub(crate) fn estimate_prompt_tokens(request: &Value) -> u64 {
    let messages = request.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let chars: u64 =
        messages.iter().map(|message| chars_of(message.get("content")) + CHARS_PER_MESSAGE).sum();
    let elsewhere = bytes_elsewhere(request).saturating_sub(UNCOUNTED_BYTES);
    (chars + elsewhere).div_ceil(CHARS_PER_TOKEN).max(MIN_PROMPT_TOKENS)
}

/// The most tokens that a prompt can have: its request's bytes, since a token has one at least, and what templates and
/// pictures add. A provider bills no more, and a gateway takes no more for honest.
pub(crate) fn most_prompt_tokens(request_bytes: usize, messages: &Value) -> u64 {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    let opaque_in = |message: &Value| {
        let parts = message.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        parts.iter().map(opaque_in_part).sum::<u64>()
    };
    let opaque: u64 = messages.iter().map(opaque_in).sum();
    let bytes = u64::try_from(request_bytes).unwrap_or(u64::MAX);
    bytes
        .saturating_add(TEMPLATE_TOKENS)
        .saturating_add(TEMPLATE_TOKENS_PER_MESSAGE.saturating_mul(messages.len() as u64))
        .saturating_add(TOKENS_PER_OPAQUE_PART.saturating_mul(opaque))
}

/// Bytes of a request that [`chars_of`] does not see: of its JSON everything but the counted texts, the media and a
/// message's own 16.
fn bytes_elsewhere(request: &Value) -> u64 {
    let Some(fields) = request.as_object() else { return 0 };
    let bytes = fields.iter().map(|(name, value)| match (name.as_str(), value) {
        ("messages", Value::Array(messages)) => messages.iter().map(bytes_beside_content).sum(),
        _ => bytes_of_field(name, value),
    });
    bytes.sum()
}

fn bytes_beside_content(message: &Value) -> u64 {
    let Some(fields) = message.as_object() else { return bytes_in(message) };
    let bytes = fields.iter().map(|(name, value)| match (name.as_str(), value) {
        ("content", Value::Array(parts)) => parts.iter().map(bytes_of_part).sum(),
        ("content", Value::Null | Value::String(_)) => 0,
        ("content", other) => bytes_in(other).saturating_sub(chars_of_json(other)),
        _ => bytes_of_field(name, value),
    });
    bytes.sum::<u64>().saturating_sub(CHARS_PER_MESSAGE)
}

/// What stands in a part beside its one counted text and its media. A backend may feed any of it to its model: some do
/// so with a part's `refusal` and `thinking`.
fn bytes_of_part(part: &Value) -> u64 {
    let Some(fields) = part.as_object() else {
        // The comma and the quotes: a hundred thousand empty texts are no empty prompt.
        return if part.is_string() { 3 } else { bytes_in(part) };
    };
    let bytes = fields.iter().map(|(name, value)| match value {
        Value::String(_) if name == "text" => 0,
        medium if is_medium(name, medium) => bytes_beside_data(medium),
        value => bytes_of_field(name, value),
    });
    2 + bytes.sum::<u64>()
}

/// What a medium says beside its data.
fn bytes_beside_data(medium: &Value) -> u64 {
    let fields = medium.as_object().into_iter().flatten();
    let others = fields.filter(|(name, value)| !(value.is_string() && MEDIUM_DATA.contains(&name.as_str())));
    others.map(|(name, value)| bytes_of_field(name, value)).sum()
}

/// Whether a part's field holds a picture, a sound or a file: not if it is empty.
fn is_medium(name: &str, value: &Value) -> bool {
    let has_content = match value {
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    };
    has_content && MEDIA.contains(&name)
}

/// The media of a part, one at least if it has no text.
fn opaque_in_part(part: &Value) -> u64 {
    let media = part.as_object().into_iter().flatten().filter(|(name, value)| is_medium(name, value)).count();
    (media as u64).max(u64::from(text_of(part).is_none()))
}

fn text_of(part: &Value) -> Option<&str> {
    part.as_str().or_else(|| part.get("text").and_then(Value::as_str))
}

fn bytes_of_field(name: &str, value: &Value) -> u64 {
    // The colon and the comma.
    bytes_of_text(name) + bytes_in(value) + 2
}

/// The length of a value as compact JSON, with every digit of its numbers.
fn bytes_in(value: &Value) -> u64 {
    match value {
        Value::String(text) => bytes_of_text(text),
        Value::Array(items) => 2 + items.iter().map(|item| bytes_in(item) + 1).sum::<u64>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(name, value)| bytes_of_field(name, value)).sum::<u64>()
        }
        Value::Number(number) => digits_of(number),
        Value::Null | Value::Bool(_) => 5,
    }
}

fn chars_of(content: Option<&Value>) -> u64 {
    match content {
        None | Some(Value::Null) => 0,
        Some(Value::String(text)) => utf16_length(text),
        Some(Value::Array(parts)) => parts.iter().map(chars_of_part).sum(),
        Some(other) => chars_of_json(other),
    }
}

fn chars_of_part(part: &Value) -> u64 {
    text_of(part).map_or(0, utf16_length) + CHARS_PER_OPAQUE_PART * opaque_in_part(part)
}

fn utf16_length(text: &str) -> u64 {
    text.encode_utf16().count() as u64
}

/// Sizes a prompt.
pub(crate) fn size_of(request_bytes: usize, request: &Value) -> PromptSize {
    let messages = request.get("messages").unwrap_or(&Value::Null);
    let most = most_prompt_tokens(request_bytes, messages);
    PromptSize {
        estimate: estimate_prompt_tokens(request),
        likely: likely_prompt_tokens(messages).clamp(1, most),
        most,
    }
}

fn likely_prompt_tokens(messages: &Value) -> u64 {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    let of_part = |part: &Value| match text_of(part) {
        Some(text) => text.chars().count() as u64,
        None => CHARS_PER_OPAQUE_PART,
    };
    let of_message = |message: &Value| match message.get("content") {
        Some(Value::String(text)) => text.chars().count() as u64,
        Some(Value::Array(parts)) => parts.iter().map(of_part).sum(),
        _ => 0,
    };
    let chars: u64 = messages.iter().map(|message| CHARS_PER_MESSAGE + of_message(message)).sum();
    chars.div_ceil(CHARS_PER_TOKEN)
}
