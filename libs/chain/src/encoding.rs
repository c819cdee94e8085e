//! JSON-RPC's hexadecimal forms: quantities and byte strings.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de};

/// A number as JSON-RPC writes it: `0x` and hexadecimal digits without leading zeros.
pub(crate) fn quantity(number: impl Into<u128>) -> String {
    format!("{:#x}", number.into())
}

/// Bytes as JSON-RPC writes them.
pub(crate) fn bytes(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads `0x`-prefixed hexadecimal digits of even number.
pub(crate) fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

/// A quantity that was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quantity(pub(crate) u128);

impl Quantity {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        // `from_str_radix` takes a sign, JSON-RPC does not.
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("expected a hexadecimal quantity of at most 128 bits"))
    }
}

/// A quantity of at most 64 bits that was read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Quantity(wide) = Quantity::deserialize(deserializer)?;
        u64::try_from(wide).map(Self).map_err(|_| de::Error::custom("expected a quantity of at most 64 bits"))
    }
}

/// A byte string that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct HexBytes(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        parse_bytes(&text).map(Self).ok_or_else(|| de::Error::custom("expected hexadecimal bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_without_digits_with_signs_or_too_wide_are_refused() {
        for text in ["", "0x", "12", "0x-1", "0x+1", "0xg", "0x1 ", &format!("0x1{}", "0".repeat(32))] {
            assert!(Quantity::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(Quantity::parse("0x0").unwrap().0, 0);
        assert_eq!(Quantity::parse(&quantity(u128::MAX)).unwrap().0, u128::MAX);
    }
}
