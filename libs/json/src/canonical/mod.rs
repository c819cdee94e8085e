//! JSON as JavaScript reads and writes it, and its canonical form, which envelope signatures cover.
//!
//! A peer signs the canonical form of the value that *its* parser saw: numbers are IEEE doubles, of two equal keys the
//! last one counts, and a string is UTF-16 that may hold half a surrogate pair. `serde_json` differs in each of
//! these, so envelopes are read here.

mod parser;
mod writer;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use self::writer::canonicalize;
use crate::MAX_JSON_DEPTH;

/// A JSON value as JavaScript holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(JsNumber),
    /// A string.
    String(JsString),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(JsonObject),
}

/// The members of an object, in canonical order: by their keys' UTF-16 code units.
pub type JsonObject = BTreeMap<JsString, Json>;

/// A finite IEEE double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JsNumber(f64);

/// A string of UTF-16 code units, which need not be valid Unicode. Orders by code unit, as JavaScript sorts.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsString(Vec<u16>);

/// A text that is not JSON, or not JSON that is read here.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The text breaks JSON's grammar.
    #[error("not JSON at byte {at}")]
    Syntax {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// Arrays and objects nest deeper than [`MAX_JSON_DEPTH`].
    #[error("nested deeper than {MAX_JSON_DEPTH}")]
    TooDeep,
    /// A number is beyond the range of a double.
    #[error("the number at byte {at} is too large")]
    NumberTooLarge {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// A value of ours has no JSON form.
    #[error("the value has no JSON form")]
    Unserializable(#[source] serde_json::Error),
}

impl Json {
    /// Reads a JSON text, as JavaScript's `JSON.parse` does. The caller bounds the text's length.
    ///
    /// # Errors
    /// [`JsonError`]; never panics, whatever the bytes.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        parser::parse(text)
    }

    /// Converts a value of ours, by way of its JSON text.
    ///
    /// # Errors
    /// [`JsonError::Unserializable`] or [`JsonError::TooDeep`].
    pub fn from_serializable<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        Self::parse(&serde_json::to_vec(value).map_err(JsonError::Unserializable)?)
    }

    /// Converts to the value type the rest of the house uses; `None` if a string or key is not valid Unicode.
    pub fn to_value(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Number(number) => number.to_value(),
            Self::String(string) => string.to_text()?.into(),
            Self::Array(items) => items.iter().map(Self::to_value).collect::<Option<Vec<_>>>()?.into(),
            Self::Object(members) => {
                let member = |(key, value): (&JsString, &Self)| Some((key.to_text()?, value.to_value()?));
                serde_json::Value::Object(members.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }
}

impl JsNumber {
    /// The largest integer up to which a double tells all integers apart: 2^53 − 1.
    pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

    /// Wraps a double; `None` if it is infinite or not a number, which JSON can't say.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }

    /// The double.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The number, if it is an integer from 0 to [`Self::MAX_SAFE_INTEGER`].
    pub fn to_integer(self) -> Option<u64> {
        let is_safe = (0.0..=Self::MAX_SAFE_INTEGER as f64).contains(&self.0) && self.0.fract() == 0.0;
        is_safe.then_some(self.0 as u64)
    }

    fn to_value(self) -> serde_json::Value {
        match Self(self.0.abs()).to_integer().and_then(|integer| i64::try_from(integer).ok()) {
            Some(integer) if self.0 < 0.0 => (-integer).into(),
            Some(integer) => integer.into(),
            None => self.0.into(),
        }
    }
}

impl JsString {
    /// The code units.
    pub fn units(&self) -> &[u16] {
        &self.0
    }

    /// The string as text; `None` if it holds half a surrogate pair.
    pub fn to_text(&self) -> Option<String> {
        String::from_utf16(&self.0).ok()
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        Self(text.encode_utf16().collect())
    }
}

impl From<Vec<u16>> for JsString {
    fn from(units: Vec<u16>) -> Self {
        Self(units)
    }
}

impl fmt::Debug for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf16_lossy(&self.0), f)
    }
}

#[cfg(test)]
mod tests;
