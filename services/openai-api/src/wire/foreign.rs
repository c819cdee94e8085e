//! What a backend could read otherwise than routing and billing do, and what it would have to fetch.
//!
//! The one place of the edge where this is decided: nothing of it is bought.

use serde_json::value::RawValue;

use super::error::Rejection;
use super::media;
use super::splice::Members;

/// Fields that routing and billing read. A backend that reads names without regard to case, as all written in Go do,
/// would take `MAX_TOKENS` for one of them, and serve what was not paid for.
const READ_BY_US: [&str; 10] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "response_format",
];

/// Checks the names of a request's fields and the media in its messages, whose shapes were checked before.
///
/// # Errors
/// The first name that only some readers take for one that counts, or the first medium that lies elsewhere.
pub(crate) fn check(fields: &Members<'_>) -> Result<(), Rejection> {
    fields.iter().try_for_each(|(name, _)| check_name(name))?;
    let messages: Vec<Members<'_>> =
        fields.get("messages").and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    for (message, index) in messages.iter().zip(0..) {
        let parts: Option<Vec<&RawValue>> =
            message.get("content").and_then(|content| serde_json::from_str(content.get()).ok());
        for (part, place) in parts.iter().flatten().zip(0..) {
            if let Some(part) = Members::read(part.get()) {
                media::check(&part, &format!("messages[{index}].content[{place}]"))?;
            }
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Rejection> {
    let folded: String = name.chars().map(folded).collect();
    match READ_BY_US.iter().find(|own| **own == folded && **own != name) {
        None => Ok(()),
        Some(own) => Err(Rejection {
            message: format!(
                "{name} is read as {own} by some backends and as nothing by others: write {own}"
            ),
            param: Some(name.to_owned()),
            code: "ambiguous_parameter",
        }),
    }
}

/// What a letter is without regard to case, as Go has it: two letters beyond ASCII are like ones within it.
fn folded(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_some_readers_take_for_one_that_counts_is_refused() {
        let checked = |name: &str| check(&Members::read(&format!("{{{name:?}:1}}")).unwrap());
        for name in
            ["Model", "MAX_TOKENS", "max_to\u{212a}ens", "me\u{17f}sages", "N", "Max_Completion_Tokens"]
        {
            let rejection = checked(name).unwrap_err();
            assert_eq!((rejection.param.as_deref(), rejection.code), (Some(name), "ambiguous_parameter"));
        }
        for name in ["model", "max_tokens", "top_k", "Temperature", "maxtokens", "\u{17f}"] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_medium_that_lies_elsewhere_is_named_by_its_place() {
        let body = r#"{"messages":[{"role":"user","content":"https://a.example"},
            {"role":"user","content":["https://a.example",{"type":"image_url","image_url":"https://a.example"}]}]}"#;
        let rejection = check(&Members::read(body).unwrap()).unwrap_err();
        assert_eq!(rejection.param.as_deref(), Some("messages[1].content[1].image_url"));
    }
}
