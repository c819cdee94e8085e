//! One JSON value in the text it came in, shared by whoever holds it.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// One JSON value as it was written. A clone shares the bytes. `Debug` shows the length only: most of these are
/// somebody's words.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(ByteString);

impl JsonText {
    /// Takes a text that is one JSON value, with nothing around it: whoever calls this has just read all of it.
    ///
    /// # Errors
    /// The bytes are not UTF-8.
    pub fn read_before(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        ByteString::try_from(bytes).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// A value that stands somewhere in a text, sharing its bytes.
    ///
    /// # Panics
    /// `value` is no part of `text`.
    pub fn within(text: &ByteString, value: &RawValue) -> Self {
        Self(text.slice_ref(value.get()))
    }
}

/// Without a copy.
impl From<Box<RawValue>> for JsonText {
    fn from(raw: Box<RawValue>) -> Self {
        let text: Box<str> = raw.into();
        Self(String::from(text).into())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}

impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_travels_as_it_was_written_and_a_part_of_it_is_no_copy() {
        let text: JsonText = serde_json::from_str(r#"{"a" : [1.50, 2]}"#).unwrap();
        assert_eq!(serde_json::to_string(&text).unwrap(), r#"{"a" : [1.50, 2]}"#);
        let members = crate::Members::read(text.as_str()).unwrap();
        let part = JsonText::within(&text.0, members.get("a").unwrap());
        assert_eq!(part.as_str(), "[1.50, 2]");
        assert_eq!(part.bytes().as_ptr(), text.bytes()[7..].as_ptr());
        assert_eq!(format!("{text:?}"), "JsonText(17 bytes)");
    }
}
