//! What a run is billed: the backend's usage where it can be true, the runner's own count where it can't.
//!
//! The rule. A token has at least one byte of text, or, where its text is not shown, a delta of its own or a small
//! share of what templates add. Backends send one or a few tokens in a delta, and where they join many, those are two
//! bytes long or more on average. So a true `completion_tokens` is at most
//!
//! ```text
//! for each delta: its bytes, but no more than 4 or half of them, whichever is more
//! + deltas without text, all of it no more than the bytes
//! + 16 per choice + 32 per tool call
//! ```
//!
//! (all bytes count where the answer came in one piece), and a true `prompt_tokens` is at most
//!
//! ```text
//! bytes of the request + 512 + 64 per message + 4096 per part that is not text
//! ```
//!
//! A number above its bound, zero where there was text, negative, fractional or absent, is no number: then the
//! completion counts one token for each delta with text (a quarter of the characters where the answer came in one
//! piece), and the prompt a quarter of its characters. A backend whose `completion_tokens` can't be true is not believed
//! about the prompt either. No completion is billed above the cap that was paid for.

use serde_json::Value;
use t4t_inference::{InferenceRequest, most_completion_tokens};
use t4t_types::TokenUsage;

/// Tokens that a delta may have however short it is, as long as it has as many bytes.
const FEW_TOKENS: u64 = 4;
/// Deltas past the cap after which the backend is stopped; it was told the cap and does not keep to it.
const CAP_SLACK: u64 = 16;
/// Bytes for each token of the cap after which it is stopped too: no model's tokens are that long on average.
const MAX_BYTES_PER_TOKEN: u64 = 128;
/// What the cap in bytes begins with, so that a short answer of long tokens is not cut.
const BYTES_SLACK: u64 = 4096;
/// Characters for each token of an answer whose tokens nobody tells: long ones, so that no honest answer is cut.
const CHARS_PER_TOKEN: u64 = 8;

/// How large a prompt can be and is likely to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PromptSize {
    /// The most tokens it can have.
    pub(crate) bound: u64,
    /// The tokens it has by a quarter of its characters.
    pub(crate) estimate: u64,
}

impl From<&InferenceRequest> for PromptSize {
    fn from(request: &InferenceRequest) -> Self {
        Self { bound: request.most_prompt_tokens(), estimate: request.likely_prompt_tokens() }
    }
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// What one choice's delta adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeltaSize {
    /// Bytes of its texts and arguments.
    pub(crate) bytes: u64,
    /// Characters of the same.
    pub(crate) chars: u64,
    /// Whether it began a choice.
    pub(crate) new_choice: bool,
    /// Tool calls it began.
    pub(crate) new_tool_calls: u64,
}

impl DeltaSize {
    /// Adds a text.
    pub(crate) fn add(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        self.chars += count(text);
    }
}

/// Counts one answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    deltas: u64,
    empty_deltas: u64,
    room: u64,
    bytes: u64,
    chars: u64,
    choices: u64,
    tool_calls: u64,
    in_one_piece: bool,
}

impl Meter {
    /// Counts a delta.
    pub(crate) fn add(&mut self, delta: &DeltaSize) {
        let is_empty = delta.bytes == 0 && delta.new_tool_calls == 0;
        self.deltas += u64::from(!is_empty);
        self.empty_deltas += u64::from(is_empty);
        self.bytes += delta.bytes;
        self.room += delta.bytes.min(FEW_TOKENS.max(delta.bytes / 2));
        self.chars += delta.chars;
        self.choices += u64::from(delta.new_choice);
        self.tool_calls += delta.new_tool_calls;
    }

    /// Says that the answer did not come as a stream, so deltas tell nothing.
    pub(crate) fn came_in_one_piece(&mut self) {
        self.in_one_piece = true;
    }

    /// Completion tokens by the runner's own count.
    pub(crate) fn counted(&self) -> u64 {
        if self.in_one_piece { self.chars.div_ceil(4) } else { self.deltas }
    }

    /// The most completion tokens that the answer can have.
    fn bound(&self) -> u64 {
        let text = if self.in_one_piece { self.bytes } else { self.room + self.empty_deltas };
        // A gateway that sees the bytes alone takes no more for honest.
        most_completion_tokens(text.min(self.bytes), self.choices, self.tool_calls)
    }

    /// Whether the answer is clearly longer than `cap` tokens.
    pub(crate) fn is_past(&self, cap: u64) -> bool {
        let most_bytes = cap.saturating_mul(MAX_BYTES_PER_TOKEN).saturating_add(BYTES_SLACK);
        self.deltas > cap.saturating_add(CAP_SLACK) || self.bytes > most_bytes
    }

    /// The tokens that the answer has, where those are clearly more than `cap`; a backend that was told the cap sends no
    /// more.
    pub(crate) fn excess(&self, reported: Option<&Value>, cap: u64) -> Option<u64> {
        let told = reported.and_then(|usage| usage.get("completion_tokens")).and_then(Value::as_u64);
        let told = told.filter(|told| (1..=self.bound()).contains(told));
        let tokens = told.unwrap_or(self.chars / CHARS_PER_TOKEN);
        (tokens > cap.saturating_add(CAP_SLACK)).then_some(tokens)
    }

    /// What to bill, given the `usage` object that the backend sent, if it sent one.
    pub(crate) fn bill(&self, reported: Option<&Value>, prompt: &PromptSize, cap: Option<u64>) -> TokenUsage {
        let told = |field: &str| reported.and_then(|usage| usage.get(field)).filter(|told| !told.is_null());
        let believable = |field: &str, least: u64, most: u64| {
            told(field).and_then(Value::as_u64).filter(|tokens| (least..=most).contains(tokens))
        };
        let counted = self.counted();
        let completion = believable("completion_tokens", counted.min(1), self.bound());
        let is_lie = completion.is_none() && told("completion_tokens").is_some();
        let told_prompt = believable("prompt_tokens", 1, prompt.bound).filter(|_| !is_lie);
        TokenUsage {
            prompt: told_prompt.unwrap_or(prompt.estimate),
            completion: completion.unwrap_or(counted).min(cap.unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PROMPT: PromptSize = PromptSize { bound: 700, estimate: 9 };

    /// Ten deltas of four bytes in one choice: at most 56 tokens.
    fn ten_deltas() -> Meter {
        let mut meter = Meter::default();
        meter.add(&DeltaSize { bytes: 4, chars: 4, new_choice: true, new_tool_calls: 0 });
        (1..10).for_each(|_| meter.add(&DeltaSize { bytes: 4, chars: 4, ..DeltaSize::default() }));
        meter
    }

    fn billed(usage: Value) -> (u64, u64) {
        let usage = ten_deltas().bill(Some(&usage), &PROMPT, None);
        (usage.prompt, usage.completion)
    }

    #[test]
    fn a_usage_that_can_be_true_is_billed() {
        assert_eq!(billed(json!({"prompt_tokens": 20, "completion_tokens": 11})), (20, 11));
        assert_eq!(billed(json!({"prompt_tokens": 700, "completion_tokens": 56})), (700, 56));
    }

    #[test]
    fn a_usage_that_can_not_be_true_is_replaced_by_the_own_count() {
        for wrong in
            [json!(701), json!(-5), json!(0), json!(1.5), json!(1e300), json!("3"), json!(null), json!([])]
        {
            assert_eq!(
                billed(json!({"prompt_tokens": wrong, "completion_tokens": wrong})),
                (9, 10),
                "{wrong}"
            );
        }
        assert_eq!(billed(json!({"prompt_tokens": 20})), (20, 10));
        assert_eq!(billed(json!({"prompt_tokens": 701, "completion_tokens": 11})), (9, 11));
        assert_eq!(billed(json!("usage")), (9, 10));
        assert_eq!(ten_deltas().bill(None, &PROMPT, None), TokenUsage { prompt: 9, completion: 10 });
    }

    #[test]
    fn who_lies_about_the_answer_is_not_believed_about_the_prompt() {
        for lie in [json!(100), json!(-1), json!(0), json!("7")] {
            assert_eq!(billed(json!({"prompt_tokens": 90, "completion_tokens": lie})), (9, 10), "{lie}");
        }
    }

    #[test]
    fn nothing_is_billed_above_the_cap() {
        let usage = json!({"prompt_tokens": 20, "completion_tokens": 11});
        assert_eq!(ten_deltas().bill(Some(&usage), &PROMPT, Some(7)).completion, 7);
        assert_eq!(ten_deltas().bill(None, &PROMPT, Some(7)).completion, 7);
    }

    #[test]
    fn an_answer_in_one_piece_counts_by_its_characters() {
        let mut meter = Meter::default();
        meter.came_in_one_piece();
        meter.add(&DeltaSize { bytes: 42, chars: 41, new_choice: true, new_tool_calls: 0 });
        assert_eq!(meter.bill(None, &PROMPT, None).completion, 11);
    }

    #[test]
    fn a_delta_of_many_tokens_is_believed_and_many_times_the_tokens_are_not() {
        let mut meter = Meter::default();
        meter.add(&DeltaSize { bytes: 100, chars: 100, ..DeltaSize::default() });
        assert_eq!(meter.bound(), 50);
        let mut meter = Meter::default();
        (0..10).for_each(|_| meter.add(&DeltaSize { bytes: 8, chars: 8, ..DeltaSize::default() }));
        assert_eq!(meter.bound(), 40);
    }

    #[test]
    fn an_answer_of_nothing_costs_nothing() {
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 0});
        assert_eq!(
            Meter::default().bill(Some(&usage), &PROMPT, None),
            TokenUsage { prompt: 5, completion: 0 }
        );
    }

    #[test]
    fn an_answer_past_its_cap_is_noticed() {
        assert!(!ten_deltas().is_past(1));
        let mut meter = ten_deltas();
        (0..8).for_each(|_| meter.add(&DeltaSize { bytes: 1, chars: 1, ..DeltaSize::default() }));
        assert!(meter.is_past(1));
        let mut meter = Meter::default();
        meter.add(&DeltaSize { bytes: 5000, chars: 5000, ..DeltaSize::default() });
        assert!(meter.is_past(1) && !meter.is_past(100));
    }

    proptest! {
        #[test]
        fn no_usage_is_billed_above_bound_or_cap(prompt: i128, completion: i128, cap: Option<u64>) {
            let usage: Value = serde_json::from_str(&format!("{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}}}")).unwrap();
            let meter = ten_deltas();
            let billed = meter.bill(Some(&usage), &PROMPT, cap);
            prop_assert!(billed.prompt <= PROMPT.bound && billed.completion <= meter.bound());
            prop_assert!(billed.completion <= cap.unwrap_or(u64::MAX));
        }
    }
}
