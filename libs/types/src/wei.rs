//! Amounts of the chain's own coin.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of xDAI, which pays for gas, counted in wei: one xDAI is 10^18 wei.
///
/// The JSON form is a decimal string, because a JSON number loses digits above 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wei(u128);

impl Wei {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount that is so many wei.
    pub const fn new(wei: u128) -> Self {
        Self(wei)
    }

    /// How many wei.
    pub const fn get(self) -> u128 {
        self.0
    }
}

/// In wei.
impl fmt::Display for Wei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Wei {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(de::Error::custom(format!("expected a decimal string of wei, got {text:?}")));
        }
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_decimal_string_and_nothing_else() {
        let largest = Wei::new(u128::MAX);
        let text = serde_json::to_string(&largest).unwrap();
        assert_eq!(text, format!("\"{}\"", u128::MAX));
        assert_eq!(serde_json::from_str::<Wei>(&text).unwrap(), largest);
        for text in ["9", r#""""#, r#""-1""#, r#""+1""#, r#""1.0""#, r#""0x1""#] {
            assert!(serde_json::from_str::<Wei>(text).is_err(), "{text}");
        }
    }
}
