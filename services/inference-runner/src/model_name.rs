//! Whether the model that an answer names is the one that was asked for.

/// Words that a name may have more or less and still mean the same model.
const BESIDE: [&str; 17] = [
    "latest", "instruct", "chat", "it", "hf", "gguf", "awq", "gptq", "fp8", "fp16", "bf16", "int4", "int8",
    "mlx", "preview", "default", "main",
];

/// Whether an answer of `answered` can be one of the model that was asked for as `asked`. A path before it, its case, a
/// tag, a date or the form of its weights make no other model; another name or another size does.
pub(crate) fn is_same_model(asked: &str, answered: &str) -> bool {
    let (asked, answered) = (words(asked), words(answered));
    let is_beside = |word: &String| {
        let is_number = word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_quantised = word.len() <= 3
            && (word.starts_with('q') || word.starts_with("iq"))
            && word.ends_with(|last: char| last.is_ascii_digit());
        is_number || is_quantised || BESIDE.contains(&word.as_str())
    };
    let core =
        |words: &[String]| -> Vec<String> { words.iter().filter(|word| !is_beside(word)).cloned().collect() };
    asked == answered || (!core(&asked).is_empty() && core(&asked) == core(&answered))
}

/// The words of a name's last part.
fn words(name: &str) -> Vec<String> {
    let name = name.trim().to_lowercase();
    let last = name.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    let words = last.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    // A date's month and day follow its year.
    if let Some(at) = words.iter().position(|word| {
        word.len() == 4 && word.starts_with("20") && word.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        let is_of_date = |word: &String| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        let end = words[at + 1..].iter().take_while(|word| is_of_date(word)).count();
        words.drain(at + 1..at + 1 + end);
    }
    // What follows the form of the weights, as in `Q4_K_M`, belongs to it.
    if let Some(at) = words.iter().rposition(|word| {
        word.len() <= 3 && word.starts_with('q') && word.ends_with(|last: char| last.is_ascii_digit())
    }) {
        let is_of_form = |word: &String| word.len() == 1;
        let end = words[at + 1..].iter().take_while(|word| is_of_form(word)).count();
        words.drain(at + 1..at + 1 + end);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_a_path_a_date_or_the_case_make_no_other_model() {
        for (asked, answered) in [
            ("m", "m"),
            ("m", "M"),
            ("m", "m:latest"),
            ("m:latest", "m"),
            ("llama3.2:1b", "llama3.2:1b"),
            ("llama3.2:1b", "library/llama3.2:1b"),
            ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
            ("/models/Qwen2.5-0.5B-Instruct-Q4_K_M.gguf", "qwen2.5-0.5b-instruct"),
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("gpt-4o", "openai/gpt-4o"),
            ("m1", "m1"),
        ] {
            assert!(is_same_model(asked, answered), "{asked} {answered}");
        }
    }

    #[test]
    fn another_name_or_another_size_is_another_model() {
        for (asked, answered) in [
            ("small", "big:405b"),
            ("llama3.2:1b", "llama3.2:3b"),
            ("qwen2.5", "qwen2.5:72b"),
            ("gpt-4o", "gpt-4o-mini"),
            ("qwen:72", "qwen"),
            ("m1", "m2"),
            ("echo", "another-model"),
            ("llama3.1:8b", "llama3.2:8b"),
        ] {
            assert!(!is_same_model(asked, answered), "{asked} {answered}");
        }
    }
}
