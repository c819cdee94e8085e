//! How many tokens a prompt and an answer may have: an estimate that both sides make by the same rule, and bounds.
//!
//! In integers: characters of the messages, never a tokenizer. A provider that counted otherwise would answer more than
//! it is paid for.

use serde_json::{Number, Value};
use t4t_json::canonical::{Json, canonicalize};

/// The least a prompt is estimated at, in tokens.
pub const MIN_PROMPT_TOKENS: u64 = 256;
/// Characters (UTF-16 code units) that count as one token.
const CHARS_PER_TOKEN: u64 = 4;
/// Characters that a message costs beside its content.
const CHARS_PER_MESSAGE: u64 = 16;
/// Characters that an image, a sound or any other part without text counts as.
const CHARS_PER_OPAQUE_PART: u64 = 4096;
/// Fields under which a part of a message holds a picture, a sound or a file.
const MEDIA: [&str; 7] =
    ["image_url", "input_image", "input_audio", "audio_url", "video_url", "file", "file_data"];
/// Fields of such a medium that hold the picture itself, or where it lies: of that the length says nothing.
const MEDIUM_DATA: [&str; 3] = ["url", "data", "file_data"];
/// Bytes of a request beside its messages' content that count as nothing: the tools of a usual agent. The reference counts
/// none at all, so that a provider which charged for all of it would turn its gateways away; one that charged for none
/// would read a book for the price of a word.
const UNCOUNTED_BYTES: u64 = 16 << 10;
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

/// Tokens that a prompt may have beyond its request's bytes: what a chat template adds once.
const TEMPLATE_TOKENS: u64 = 512;
/// The same for each message.
const TEMPLATE_TOKENS_PER_MESSAGE: u64 = 64;
/// Tokens that a part which is not text may have, however few bytes name it.
const TOKENS_PER_OPAQUE_PART: u64 = 4096;
/// Tokens of an answer that show no text: the ends of each choice.
const TOKENS_PER_CHOICE: u64 = 16;
/// The same for each tool call: its frame.
const TOKENS_PER_TOOL_CALL: u64 = 32;

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

/// The most tokens that an answer can have: the bytes of its texts and calls, and what shows no text. Hidden reasoning is
/// not among them: what is not delivered is not billed.
pub const fn most_completion_tokens(bytes: u64, choices: u64, tool_calls: u64) -> u64 {
    bytes
        .saturating_add(TOKENS_PER_CHOICE.saturating_mul(choices))
        .saturating_add(TOKENS_PER_TOOL_CALL.saturating_mul(tool_calls))
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

/// The most digits that a number had: an integer too large for 64 bits was read as a float, and backends that know
/// longer integers show the model each of its digits.
fn digits_of(number: &Number) -> u64 {
    let text = match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float}"),
        _ => number.to_string(),
    };
    text.len() as u64
}

/// The length of a text in JSON: quoted, and with what has to be escaped.
fn bytes_of_text(text: &str) -> u64 {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    });
    2 + escaped.sum::<u64>()
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

/// The length of what `JSON.stringify` gives.
fn chars_of_json(value: &Value) -> u64 {
    let json = Json::from_serializable(value);
    json.map_or(CHARS_PER_OPAQUE_PART, |json| utf16_length(&canonicalize(&json)))
}

fn utf16_length(text: &str) -> u64 {
    text.encode_utf16().count() as u64
}

/// How large a prompt is likely to be and can be, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PromptSize {
    /// By the rule that both sides estimate by for the escrow.
    pub(crate) estimate: u64,
    /// By a quarter of the characters of its messages alone.
    pub(crate) likely: u64,
    /// The most that it can have.
    pub(crate) most: u64,
}

impl PromptSize {
    pub(crate) fn of(request_bytes: usize, request: &Value) -> Self {
        let messages = request.get("messages").unwrap_or(&Value::Null);
        let most = most_prompt_tokens(request_bytes, messages);
        Self {
            estimate: estimate_prompt_tokens(request),
            likely: likely_prompt_tokens(messages).clamp(1, most),
            most,
        }
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

#[cfg(test)]
mod tests;
