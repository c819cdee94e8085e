//! The limit on an answer, under all the names that backends know it by.

use t4t_json::Edit;

use super::form::LimitForm;

/// The names under which backends take a limit on the answer. Ollama knows only the first; llama.cpp lets `n_predict`
/// overrule it, so a limit holds only if it is in every one.
pub(super) const LIMITS: [&str; 5] =
    ["max_tokens", "max_completion_tokens", "n_predict", "num_predict", "max_new_tokens"];

/// Limits that are no part of OpenAI's API and count where neither of its own is given.
const OTHER_LIMITS: [&str; 3] = ["n_predict", "num_predict", "max_new_tokens"];

/// The names under which backends take a least length of the answer.
const LEAST: [&str; 3] = ["min_tokens", "min_new_tokens", "min_completion_tokens"];

/// The limit that a request states under a name that is not OpenAI's.
pub(super) fn other_limit(body: &Edit) -> Option<u64> {
    OTHER_LIMITS.iter().find_map(|name| positive(body, name))
}

/// Tells the limit under every name that is there, and takes out what is none.
pub(super) fn limit_answer(body: &mut Edit, form: LimitForm, limit: Option<u64>) {
    for name in LIMITS {
        let is_told = match form {
            LimitForm::Usual => name == "max_tokens" || body.get(name).is_some(),
            LimitForm::Newer => name == "max_completion_tokens",
            LimitForm::Untold => false,
        };
        match limit.filter(|_| is_told) {
            Some(limit) => body.set(name, limit.to_string()),
            None => body.remove(name),
        }
    }
    // vLLM refuses a least length above the limit; others would overrule the limit with it.
    let limit = limit.filter(|_| form != LimitForm::Untold);
    for name in LEAST {
        let is_below = limit.is_some_and(|limit| positive(body, name).is_some_and(|least| least <= limit));
        if !is_below {
            body.remove(name);
        }
    }
}

/// The field as a whole number above zero; anything else is no limit.
fn positive(body: &Edit, name: &str) -> Option<u64> {
    body.get(name)?.parse::<u64>().ok().filter(|&number| number > 0)
}
