//! The types of a request's fields: what has the wrong one is refused here, before it is paid for.

use std::collections::HashSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use t4t_json::Members;

use super::error::Rejection;

/// The most choices an app may ask for, as OpenAI has it.
const MAX_CHOICES: i64 = 128;

/// Numbers beyond it are not whole in a double, which is what most readers make of them.
const MAX_WHOLE: i64 = 1 << 53;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Boolean,
    Number,
    Text,
    Object,
    TextOrObject,
    TextOrTexts,
    Objects,
}

/// Fields of OpenAI's whose type is the same for all backends. What backends know beside them is theirs to judge.
const KINDS: [(&str, Kind); 18] = [
    ("stream", Kind::Boolean),
    ("parallel_tool_calls", Kind::Boolean),
    ("logprobs", Kind::Boolean),
    ("temperature", Kind::Number),
    ("top_p", Kind::Number),
    ("frequency_penalty", Kind::Number),
    ("presence_penalty", Kind::Number),
    ("seed", Kind::Number),
    ("top_logprobs", Kind::Number),
    ("user", Kind::Text),
    ("reasoning_effort", Kind::Text),
    ("stream_options", Kind::Object),
    ("response_format", Kind::Object),
    ("logit_bias", Kind::Object),
    ("tool_choice", Kind::TextOrObject),
    ("stop", Kind::TextOrTexts),
    ("tools", Kind::Objects),
    ("functions", Kind::Objects),
];

impl Kind {
    const fn expected(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Object => "an object",
            Self::TextOrObject => "a string or an object",
            Self::TextOrTexts => "a string or an array of strings",
            Self::Objects => "an array of objects",
        }
    }

    fn takes(self, json: &str) -> bool {
        let first = json.as_bytes().first().copied().unwrap_or_default();
        match self {
            Self::Boolean => matches!(first, b't' | b'f'),
            Self::Number => matches!(first, b'-' | b'0'..=b'9'),
            Self::Text => first == b'"',
            Self::Object => first == b'{',
            Self::TextOrObject => matches!(first, b'"' | b'{'),
            Self::TextOrTexts => first == b'"' || all_begin_with(json, '"'),
            Self::Objects => all_begin_with(json, '{'),
        }
    }
}

fn all_begin_with(array: &str, first: char) -> bool {
    let items: Result<Vec<&RawValue>, _> = serde_json::from_str(array);
    items.is_ok_and(|items| items.iter().all(|item| item.get().starts_with(first)))
}

/// Checks that a request's fields are there once and of their types.
pub(crate) fn check(fields: &Members<'_>) -> Result<(), Rejection> {
    let mut seen = HashSet::new();
    for (name, _) in fields.iter() {
        if !seen.insert(name) {
            return Err(Rejection::not_json(format!("it has the field {name:?} twice")));
        }
    }
    for (name, kind) in KINDS {
        if let Some(value) = fields.get(name)
            && !kind.takes(value.get())
        {
            return Err(Rejection::wrong_type(name, kind.expected()));
        }
    }
    Ok(())
}

/// Reads one field; `null` is as good as absent.
pub(crate) fn field<T: DeserializeOwned>(
    raw: Option<&RawValue>,
    param: &str,
    expected: &str,
) -> Result<Option<T>, Rejection> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| Rejection::wrong_type(param, expected))
}

/// A whole number, and how it has to be written where `64.0` was.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The number.
    pub(crate) value: i64,
    /// What it is to be replaced by, if it is written as a fraction.
    pub(crate) rewritten: Option<String>,
}

/// Reads a whole number; `64.0` and `6.4e1` are ones.
pub(crate) fn whole(fields: &Members<'_>, param: &str) -> Result<Option<Whole>, Rejection> {
    let Some(raw) = fields.get(param) else { return Ok(None) };
    let wrong = || Rejection::wrong_type(param, "an integer");
    if let Ok(value) = i64::deserialize(&mut serde_json::Deserializer::from_str(raw.get())) {
        let value = (-MAX_WHOLE..=MAX_WHOLE).contains(&value).then_some(value).ok_or_else(wrong)?;
        return Ok(Some(Whole { value, rewritten: None }));
    }
    let number: f64 = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    let text = format!("{number:.0}");
    let value: i64 = text.parse().map_err(|_| wrong())?;
    let is_whole = number.fract() == 0.0 && (-MAX_WHOLE..=MAX_WHOLE).contains(&value);
    is_whole.then_some(Some(Whole { value, rewritten: Some(text) })).ok_or_else(wrong)
}

/// Checks how many choices are asked for.
pub(crate) fn check_choices(choices: Option<&Whole>) -> Result<(), Rejection> {
    match choices {
        Some(choices) if !(1..=MAX_CHOICES).contains(&choices.value) => {
            Err(Rejection::invalid_value("n", format!("expected 1 to {MAX_CHOICES}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str) -> Result<(), Rejection> {
        check(&Members::read(body).unwrap())
    }

    #[test]
    fn every_known_field_has_its_type() {
        for (name, kind) in KINDS {
            for value in ["true", "1.5", "\"x\"", "{}", "[\"x\"]", "[{}]", "null", "[1]"] {
                let refused = checked(&format!("{{{name:?}:{value}}}")).is_err();
                assert_eq!(refused, value != "null" && !kind.takes(value), "{name}: {value}");
            }
        }
        let hot = checked(r#"{"temperature":"hot"}"#).unwrap_err();
        assert_eq!((hot.param.as_deref(), hot.code), (Some("temperature"), "invalid_type"));
    }

    #[test]
    fn a_number_without_a_fraction_is_whole() {
        let read = |text: &str| {
            let body = format!("{{\"n\":{text}}}");
            whole(&Members::read(&body).unwrap(), "n")
                .map(|read| read.map(|read| (read.value, read.rewritten)))
        };
        assert_eq!(read("64"), Ok(Some((64, None))));
        assert_eq!(read("64.0"), Ok(Some((64, Some("64".into())))));
        assert_eq!(read("6.4e1"), Ok(Some((64, Some("64".into())))));
        assert_eq!(read("-1"), Ok(Some((-1, None))));
        assert_eq!(read("null"), Ok(None));
        for text in ["64.5", "\"64\"", "1e99", "true", "18446744073709551615", "9007199254740993", "[1]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
