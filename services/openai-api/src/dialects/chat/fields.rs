//! The types of a request's fields: what has the wrong one is refused here, before it is paid for.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use t4t_inference::{MAX_CHOICES, Reading};
use t4t_json::{JsonKind, Layout, Member};

use crate::wire::error::Rejection;

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

    fn takes(self, value: &Member) -> bool {
        let is = |kind| value.kind == kind;
        let lists = |kind| is(JsonKind::Array) && value.items.are_all(kind);
        match self {
            Self::Boolean => is(JsonKind::Bool),
            Self::Number => is(JsonKind::Number),
            Self::Text => is(JsonKind::Text),
            Self::Object => is(JsonKind::Object),
            Self::TextOrObject => is(JsonKind::Text) || is(JsonKind::Object),
            Self::TextOrTexts => is(JsonKind::Text) || lists(JsonKind::Text),
            Self::Objects => lists(JsonKind::Object),
        }
    }
}

/// A member that is there; `null` is as good as absent.
fn given<'a>(layout: &'a Layout, name: &str) -> Option<&'a Member> {
    layout.get(name).filter(|member| member.kind != JsonKind::Null)
}

/// A field's JSON; `null` is as good as absent.
pub(crate) fn json<'a>(reading: &'a Reading, name: &str) -> Option<&'a str> {
    given(reading.layout(), name).map(|member| &reading.text()[member.value.clone()])
}

/// Checks that a request's fields are there once and of their types.
pub(crate) fn check(layout: &Layout) -> Result<(), Rejection> {
    if let Some(name) = layout.repeated() {
        return Err(Rejection::not_json(format!("it has the field {name:?} twice")));
    }
    for (name, kind) in KINDS {
        if given(layout, name).is_some_and(|value| !kind.takes(value)) {
            return Err(Rejection::wrong_type(name, kind.expected()));
        }
    }
    Ok(())
}

/// Reads one field; `null` is as good as absent.
pub(crate) fn field<T: DeserializeOwned>(
    json: Option<&str>,
    param: &str,
    expected: &str,
) -> Result<Option<T>, Rejection> {
    let Some(json) = json else { return Ok(None) };
    serde_json::from_str(json).map(Some).map_err(|_| Rejection::wrong_type(param, expected))
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
pub(crate) fn whole(reading: &Reading, param: &str) -> Result<Option<Whole>, Rejection> {
    let Some(json) = json(reading, param) else { return Ok(None) };
    let wrong = || Rejection::wrong_type(param, "an integer");
    if let Ok(value) = i64::deserialize(&mut serde_json::Deserializer::from_str(json)) {
        let value = (-MAX_WHOLE..=MAX_WHOLE).contains(&value).then_some(value).ok_or_else(wrong)?;
        return Ok(Some(Whole { value, rewritten: None }));
    }
    let number: f64 = serde_json::from_str(json).map_err(|_| wrong())?;
    let text = format!("{number:.0}");
    let value: i64 = text.parse().map_err(|_| wrong())?;
    let is_whole = number.fract() == 0.0 && (-MAX_WHOLE..=MAX_WHOLE).contains(&value);
    is_whole.then_some(Some(Whole { value, rewritten: Some(text) })).ok_or_else(wrong)
}

/// Checks how many choices are asked for.
pub(crate) fn check_choices(choices: Option<&Whole>) -> Result<(), Rejection> {
    match choices {
        Some(choices)
            if !u64::try_from(choices.value).is_ok_and(|choices| (1..=MAX_CHOICES).contains(&choices)) =>
        {
            Err(Rejection::invalid_value("n", format!("expected 1 to {MAX_CHOICES}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(body: &str) -> Reading {
        Reading::of(body.to_owned().into()).unwrap()
    }

    fn checked(body: &str) -> Result<(), Rejection> {
        check(reading(body).layout())
    }

    #[test]
    fn every_known_field_has_its_type() {
        for (name, kind) in KINDS {
            for value in ["true", "1.5", "\"x\"", "{}", "[\"x\"]", "[{}]", "null", "[1]"] {
                let body = format!("{{{name:?}:{value}}}");
                let is_taken = kind.takes(reading(&body).layout().get(name).unwrap());
                assert_eq!(checked(&body).is_err(), value != "null" && !is_taken, "{name}: {value}");
            }
        }
        let hot = checked(r#"{"temperature":"hot"}"#).unwrap_err();
        assert_eq!((hot.param.as_deref(), hot.code), (Some("temperature"), "invalid_type"));
    }

    #[test]
    fn a_number_without_a_fraction_is_whole() {
        let read = |text: &str| {
            let body = format!("{{\"n\":{text}}}");
            whole(&reading(&body), "n").map(|read| read.map(|read| (read.value, read.rewritten)))
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
