//! The names that routing and billing go by, and every other way in which some backend reads them.

use super::RequestFault;
use super::members::refuse_twice;
use t4t_json::Members;

/// Fields of a request that decide which model answers, how long and how often.
pub(super) const OF_REQUESTS: [&str; 16] = [
    "model",
    "messages",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "options",
    "models",
];

/// Fields of a message that are counted, or that media hide in.
pub(super) const IN_MESSAGES: [&str; 8] = [
    "role",
    "content",
    "tool_calls",
    "function_call",
    "tool_call_id",
    "refusal",
    "reasoning",
    "reasoning_content",
];

/// The one field of `stream_options` that billing needs.
pub(super) const IN_STREAM_OPTIONS: [&str; 1] = ["include_usage"];

/// Fields with which a request would overrule, at some backend or proxy, the model, the address, the key or the number
/// of answers that were paid for. No backend is given them.
pub const OVERRULING_FIELDS: [&str; 25] = [
    "models",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "route",
    "extra_body",
    "extra_headers",
    "extra_query",
    "api_base",
    "api_key",
    "api_type",
    "base_url",
    "custom_llm_provider",
    "user_config",
    "engine",
    "deployment",
    "deployment_id",
    "lora_path",
    "kv_transfer_params",
    "bootstrap_host",
    "bootstrap_port",
    "bootstrap_room",
    "best_of",
    "use_beam_search",
    "options",
];

/// Fields with which a request would have a hosted backend search, run something or serve it dearer, at its operator's
/// expense. Only a backend whose operator allows it is given them.
pub const SPENDING_FIELDS: [&str; 17] = [
    "web_search_options",
    "web_search",
    "search_parameters",
    "search_options",
    "search_settings",
    "search_mode",
    "search_recency_filter",
    "search_domain_filter",
    "enable_search",
    "plugins",
    "provider",
    "service_tier",
    "compound_custom",
    "mcp_servers",
    "container",
    "prediction",
    "cached_content",
];

/// Refuses a field that is given twice, and one that is another spelling of a field that is read.
pub(super) fn check_names(fields: &Members<'_>, at: &str, read: &[&str]) -> Result<(), RequestFault> {
    refuse_twice(fields, at)?;
    for (name, _) in fields.iter() {
        if read.contains(&name) {
            continue;
        }
        let bare = bare(name);
        if let Some(meant) = read.iter().find(|known| self::bare(known) == bare) {
            let problem =
                format!("{at}{name} is not a field, and some backends take it for {meant}: write {meant}");
            return Err(RequestFault::new(format!("{at}{name}"), "ambiguous_parameter", problem));
        }
    }
    Ok(())
}

/// A name without what some reader overlooks: the case of its letters, as Unicode folds it, and what joins its words.
/// Go takes `ſ` (U+017F) for `s` and `K` (U+212A) for `k`; readers that lower or raise all letters take `İ` and `ı`
/// for `i`; readers of protocol buffers take `maxTokens` for `max_tokens`.
fn bare(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-' | '.' | ' '));
    letters
        .flat_map(char::to_lowercase)
        .filter(|&letter| letter != '\u{307}')
        .map(|letter| match letter {
            'ſ' => 's',
            'ı' => 'i',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fold_of_a_name_is_that_name() {
        for name in ["MODEL", "Model", "mOdEl", "mo_del", "mo-del"] {
            assert_eq!(bare(name), bare("model"), "{name}");
        }
        for name in ["MAX_TOKENS", "max_to\u{212a}ens", "max_token\u{17f}", "maxTokens", "max-tokens"] {
            assert_eq!(bare(name), bare("max_tokens"), "{name}");
        }
        assert_eq!(bare("max_complet\u{130}on_tokens"), bare("max_completion_tokens"));
        assert_eq!(bare("max_complet\u{131}on_tokens"), bare("max_completion_tokens"));
        for name in ["modell", "m", "max_tokens2", "logit_bias"] {
            assert!(OF_REQUESTS.iter().all(|known| bare(known) != bare(name)), "{name}");
        }
    }
}
