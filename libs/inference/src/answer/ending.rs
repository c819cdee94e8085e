//! Why a choice ended, in the words that apps know.

/// The end of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It has not ended: some backends write an empty reason into every chunk.
    NotYet,
    /// It ended, for one of OpenAI's reasons.
    Because(&'static str),
    /// The backend gave up.
    Broken,
}

/// Reads a backend's reason.
pub(super) fn read(reason: &str) -> Ending {
    let reason = reason.trim().to_ascii_lowercase();
    let is_any = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match reason.as_str() {
        ""
        | "null"
        | "none"
        | "undefined"
        | "not_finished"
        | "in_progress"
        | "unfinished"
        | "finish_reason_unspecified"
        | "unspecified"
        | "pause_turn" => Ending::NotYet,
        "function_call" => Ending::Because("function_call"),
        _ if is_any(&["tool", "function"]) => Ending::Because("tool_calls"),
        _ if is_any(&["length", "max_token", "max_output", "token_limit", "limit"]) => {
            Ending::Because("length")
        }
        _ if is_any(&[
            "filter",
            "safety",
            "moderation",
            "blocklist",
            "prohibited",
            "recitation",
            "spii",
            "refusal",
        ]) =>
        {
            Ending::Because("content_filter")
        }
        _ if is_any(&["error", "abort", "cancel", "fail", "network", "insufficient_system_resource"]) => {
            Ending::Broken
        }
        // `stop`, `eos_token`, `end_turn`, `stop_sequence`, `complete`, and what nobody has thought of yet: it did end.
        _ => Ending::Because("stop"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_many_backends_become_openais() {
        for (given, expected) in [
            ("", Ending::NotYet),
            (" null", Ending::NotYet),
            ("None", Ending::NotYet),
            ("stop", Ending::Because("stop")),
            ("STOP", Ending::Because("stop")),
            ("eos_token", Ending::Because("stop")),
            ("end_turn", Ending::Because("stop")),
            ("completed", Ending::Because("stop")),
            ("something new", Ending::Because("stop")),
            ("length", Ending::Because("length")),
            ("MAX_TOKENS", Ending::Because("length")),
            ("model_length", Ending::Because("length")),
            ("tool_calls", Ending::Because("tool_calls")),
            ("tool_use", Ending::Because("tool_calls")),
            ("function_call", Ending::Because("function_call")),
            ("SAFETY", Ending::Because("content_filter")),
            ("error", Ending::Broken),
            ("abort", Ending::Broken),
        ] {
            assert_eq!(read(given), expected, "{given}");
        }
    }
}
