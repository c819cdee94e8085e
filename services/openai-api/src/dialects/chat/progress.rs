//! The progress that a stream shows before its answer: how it is marked, and how it is taken out again.
//!
//! Apps keep what a stream showed and send it back with the next turn. It is no part of the conversation: it would be
//! paid for, and tell the next provider who served the last one.

/// The line that our progress begins with.
pub(crate) const TITLE: &str = "t4t network:";

/// The line between our progress and the model's own reasoning.
pub(crate) const MODEL: &str = "model reasoning:";

/// Where thoughts begin in a text.
pub(crate) const THINK: &str = "<think>";

/// Where they end.
pub(crate) const END: &str = "</think>";

/// How our lines begin; whatever else follows the title is not ours.
const LINES: [&str; 4] =
    ["- all ", "- provider 0x", "- payment in escrow: job 0x", "- the provider has begun"];

/// A reasoning without our progress; `None` if there is none in it.
pub(crate) fn without(reasoning: &str) -> Option<&str> {
    let mut rest = reasoning.trim_start().strip_prefix(TITLE)?.trim_start();
    let lines = rest;
    while LINES.iter().any(|line| rest.starts_with(line)) {
        // Apps trim what they keep, so that the last line may end where the thoughts do.
        let ends = [rest.find('\n'), rest.find(END)].into_iter().flatten().min();
        rest = ends.map_or("", |end| &rest[end..]).trim_start();
    }
    (rest.len() < lines.len()).then(|| rest.strip_prefix(MODEL).map_or(rest, str::trim_start))
}

/// A text that begins with thoughts, without our progress in them; `None` if there is none.
pub(crate) fn without_in_thoughts(text: &str) -> Option<String> {
    let rest = without(text.trim_start().strip_prefix(THINK)?)?;
    Some(match rest.strip_prefix(END) {
        Some(answer) => answer.trim_start().to_owned(),
        None if rest.is_empty() => String::new(),
        None => format!("{THINK}\n{rest}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "t4t network:\n- all 2 providers are busy, waiting for one of them\n- provider 0x70 chosen: 1 / 2\n\
                        - payment in escrow: job 0xab, transaction 0xcd\n- the provider has begun\n\
                        - provider 0x70 failed (a - b), the payment comes back, trying another\n";

    #[test]
    fn our_progress_is_cut_out_and_the_models_thoughts_stay() {
        assert_eq!(without(OURS), Some(""));
        assert_eq!(without(OURS.trim()), Some(""));
        assert_eq!(without(&format!("{OURS}\nmodel reasoning:\n- hm\n- so")), Some("- hm\n- so"));
        assert_eq!(without(&format!("{OURS}left by an app")), Some("left by an app"));
        assert_eq!(without(&OURS.replace('\n', "\r\n")), Some(""));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for text in [
            "",
            "t4t network:",
            "t4t network:\n- is a market",
            "the t4t network:\n- all ",
            "hm, t4t network:\n- the provider has begun",
            "- the provider has begun",
        ] {
            assert_eq!(without(text), None, "{text}");
        }
        for text in ["<think>\nhm\n</think>\n\nhi", "hi", OURS] {
            assert_eq!(without_in_thoughts(text), None, "{text}");
        }
    }

    #[test]
    fn thoughts_with_nothing_else_in_them_go_and_others_stay() {
        let think = |rest: &str| without_in_thoughts(&format!("<think>\n{OURS}{rest}"));
        assert_eq!(think("</think>\n\nHello").as_deref(), Some("Hello"));
        assert_eq!(
            think("\n\nmodel reasoning:\nhm\n</think>\n\nHello").as_deref(),
            Some("<think>\nhm\n</think>\n\nHello")
        );
        assert_eq!(think("").as_deref(), Some(""), "it broke off");
        let trimmed = format!("<think>{}</think>Hello", OURS.trim());
        assert_eq!(without_in_thoughts(&trimmed).as_deref(), Some("Hello"));
    }
}
