//! Typed reading of the fields of an envelope and of its body.

use std::str::FromStr;

use t4t_types::UnixSeconds;

use t4t_json::canonical::{JsString, Json, JsonObject};

/// A field of a message that is missing or holds something else than it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field} is not {expected}")]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: &'static str,
    /// What it should hold.
    pub expected: &'static str,
}

/// The fields of one object, as they were signed.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a JsonObject);

impl<'a> Fields<'a> {
    /// A field that must be there.
    pub(crate) fn required(
        self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<&'a Json, FieldError> {
        self.optional(field).ok_or(FieldError { field, expected })
    }

    /// A field that may be missing or null.
    pub(crate) fn optional(self, field: &'static str) -> Option<&'a Json> {
        self.0.get(&JsString::from(field)).filter(|value| **value != Json::Null)
    }

    /// A string.
    pub(crate) fn text(self, field: &'static str) -> Result<String, FieldError> {
        let expected = "a string";
        text_of(self.required(field, expected)?).ok_or(FieldError { field, expected })
    }

    /// A string that may be missing or null.
    pub(crate) fn optional_text(self, field: &'static str) -> Result<Option<String>, FieldError> {
        let refused = FieldError { field, expected: "a string" };
        self.optional(field).map(|value| text_of(value).ok_or(refused)).transpose()
    }

    /// A string that a domain type reads.
    pub(crate) fn parsed<T: FromStr>(
        self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<T, FieldError> {
        let text = text_of(self.required(field, expected)?);
        text.and_then(|text| text.parse().ok()).ok_or(FieldError { field, expected })
    }

    /// A number of seconds since 1970.
    pub(crate) fn time(self, field: &'static str) -> Result<UnixSeconds, FieldError> {
        let expected = "a whole number of seconds";
        match self.required(field, expected)? {
            Json::Number(number) => number.to_integer().map(UnixSeconds::new),
            _ => None,
        }
        .ok_or(FieldError { field, expected })
    }

    /// An object.
    pub(crate) fn object(self, field: &'static str) -> Result<&'a JsonObject, FieldError> {
        let expected = "an object";
        match self.required(field, expected)? {
            Json::Object(members) => Ok(members),
            _ => Err(FieldError { field, expected }),
        }
    }
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(string) => string.to_text(),
        _ => None,
    }
}
