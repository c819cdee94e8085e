//! Names of models.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A model's name as a provider offers it: 1 to 256 bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(String);

/// A text that can't be a model's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model id has 1 to {} bytes and no control characters", ModelId::MAX_BYTES)]
pub struct ParseModelIdError;

impl ModelId {
    /// The longest name taken. Names on the chain cost gas by the word; the longest in use have about 60 bytes.
    pub const MAX_BYTES: usize = 256;

    /// The longest name that can be offered: what our registry takes (`Limits.sol`).
    pub const MAX_OFFERED_BYTES: usize = 96;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelId {
    type Err = ParseModelIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseModelIdError)
        }
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for ModelId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for ModelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModelId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_slashes_and_tags_are_taken_and_empty_ones_are_not() {
        for name in ["llama3:8b", "ollama/llama3:8b", "模型"] {
            assert_eq!(name.parse::<ModelId>().unwrap().to_string(), name);
        }
        for name in ["", "a\nb", &"x".repeat(257)] {
            assert_eq!(name.parse::<ModelId>(), Err(ParseModelIdError));
        }
    }
}
