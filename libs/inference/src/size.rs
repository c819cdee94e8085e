//! How many tokens a prompt and an answer may have: an estimate that both sides make by the same rule, and bounds.
//!
//! In integers: characters of the messages, never a tokenizer. A provider that counted otherwise would answer more than
//! it is paid for.

use serde_json::{Number, Value};
use t4t_json::canonical::{Json, canonicalize};

/// The least a prompt is estimated at, in tokens.
pub const MIN_PROMPT_TOKENS: u64 = 256;
/// Characters (UTF-16 code units) that count as one token.
pub(crate) const CHARS_PER_TOKEN: u64 = 4;
/// Characters that a message costs beside its content.
pub(crate) const CHARS_PER_MESSAGE: u64 = 16;
/// Characters that an image, a sound or any other part without text counts as.
pub(crate) const CHARS_PER_OPAQUE_PART: u64 = 4096;
/// Bytes of a request beside its messages' content that count as nothing: the tools of a usual agent. The reference counts
/// none at all, so that a provider which charged for all of it would turn its gateways away; one that charged for none
/// would read a book for the price of a word.
pub(crate) const UNCOUNTED_BYTES: u64 = 16 << 10;
/// Tokens that a prompt may have beyond its request's bytes: what a chat template adds once.
pub(crate) const TEMPLATE_TOKENS: u64 = 512;
/// The same for each message.
pub(crate) const TEMPLATE_TOKENS_PER_MESSAGE: u64 = 64;
/// Tokens that a part which is not text may have, however few bytes name it.
pub(crate) const TOKENS_PER_OPAQUE_PART: u64 = 4096;
/// Tokens of an answer that show no text: the ends of each choice.
pub(crate) const TOKENS_PER_CHOICE: u64 = 16;
/// The same for each tool call: its frame.
pub(crate) const TOKENS_PER_TOOL_CALL: u64 = 32;

/// The most tokens that an answer can have: the bytes of its texts and calls, and what shows no text. Hidden reasoning is
/// not among them: what is not delivered is not billed.
pub const fn most_completion_tokens(bytes: u64, choices: u64, tool_calls: u64) -> u64 {
    bytes
        .saturating_add(TOKENS_PER_CHOICE.saturating_mul(choices))
        .saturating_add(TOKENS_PER_TOOL_CALL.saturating_mul(tool_calls))
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

/// What was counted of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Characters of the messages, by the rule for the escrow.
    pub(crate) chars: u64,
    /// The same, by the rule for what is likely.
    pub(crate) likely_chars: u64,
    /// Bytes that stand elsewhere.
    pub(crate) elsewhere: u64,
    /// Messages.
    pub(crate) messages: u64,
    /// Parts that are not text, and media.
    pub(crate) opaque: u64,
}

impl Tally {
    /// A quarter of the characters of its messages, 16 for each message and 4,096 for each picture among them, and of the
    /// bytes beyond 16 KiB that stand elsewhere (in tools, in calls of them, in a part beside its text), at least
    /// [`MIN_PROMPT_TOKENS`]; and the most, since a token has one byte at least.
    pub(crate) fn size(&self, request_bytes: usize) -> PromptSize {
        let of_messages = CHARS_PER_MESSAGE * self.messages;
        let elsewhere = self.elsewhere.saturating_sub(UNCOUNTED_BYTES);
        let estimate = (self.chars + of_messages + elsewhere).div_ceil(CHARS_PER_TOKEN);
        let most = u64::try_from(request_bytes)
            .unwrap_or(u64::MAX)
            .saturating_add(TEMPLATE_TOKENS)
            .saturating_add(TEMPLATE_TOKENS_PER_MESSAGE.saturating_mul(self.messages))
            .saturating_add(TOKENS_PER_OPAQUE_PART.saturating_mul(self.opaque));
        let likely = (self.likely_chars + of_messages).div_ceil(CHARS_PER_TOKEN);
        PromptSize { estimate: estimate.max(MIN_PROMPT_TOKENS), likely: likely.clamp(1, most), most }
    }
}

/// How long a text is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length {
    /// In characters.
    pub(crate) chars: u64,
    /// In units of UTF-16, as the reference counts.
    pub(crate) utf16: u64,
}

impl Length {
    pub(crate) fn of(text: &str) -> Self {
        let (mut chars, mut beyond) = (0_u64, 0_u64);
        for byte in text.bytes() {
            chars += u64::from(byte & 0xc0 != 0x80);
            // What takes four bytes takes two units.
            beyond += u64::from(byte >= 0xf0);
        }
        Self { chars, utf16: chars + beyond }
    }
}

/// The length of what `JSON.stringify` gives, in units of UTF-16.
pub(crate) fn chars_of_json(value: &Value) -> u64 {
    let json = Json::from_serializable(value);
    json.map_or(CHARS_PER_OPAQUE_PART, |json| Length::of(&canonicalize(&json)).utf16)
}

/// The most digits that a number had: an integer too large for 64 bits was read as a float, and backends that know
/// longer integers show the model each of its digits.
pub(crate) fn digits_of(number: &Number) -> u64 {
    let text = match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => format!("{float}"),
        _ => number.to_string(),
    };
    text.len() as u64
}

/// The length of a text in JSON: quoted, and with what has to be escaped.
pub(crate) fn bytes_of_text(text: &str) -> u64 {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    });
    2 + escaped.sum::<u64>()
}

#[cfg(test)]
mod tests;
