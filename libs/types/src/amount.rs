//! Amounts of the token that everything is paid in.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of xBZZ, counted in PLUR: one xBZZ is 10^16 PLUR.
///
/// The text form is decimal xBZZ ("0.3"); the JSON form is a decimal string of PLUR, because a JSON number loses
/// digits above 2^53. Arithmetic is checked; there is no operator that can wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xbzz(u128);

/// A text that is not an amount of xBZZ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseXbzzError {
    /// Neither `digits`, `digits.digits` nor `.digits`.
    #[error("expected an amount such as 1, 0.3 or .5, got {0:?}")]
    Malformed(String),
    /// More digits after the point than the token has.
    #[error("xBZZ has 16 decimals, got {0:?}")]
    TooPrecise(String),
    /// More than the chain's `uint128` holds.
    #[error("amount is too large: {0:?}")]
    TooLarge(String),
}

impl Xbzz {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount the contracts can hold (`uint128`).
    pub const MAX: Self = Self(u128::MAX);
    /// Decimals of the token contract on Gnosis Chain (16, not 18).
    pub const DECIMALS: u32 = 16;
    /// PLUR in one xBZZ.
    pub const PLUR_PER_XBZZ: u128 = 10u128.pow(Self::DECIMALS);

    /// The amount that is `plur` PLUR.
    pub const fn from_plur(plur: u128) -> Self {
        Self(plur)
    }

    /// The amount that is `whole` xBZZ.
    pub const fn from_whole(whole: u64) -> Self {
        Self(whole as u128 * Self::PLUR_PER_XBZZ)
    }

    /// The amount in PLUR.
    pub const fn plur(self) -> u128 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Adds, or returns `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Subtracts, or returns `None` below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Multiplies, or returns `None` on overflow.
    pub fn checked_mul(self, factor: u128) -> Option<Self> {
        self.0.checked_mul(factor).map(Self)
    }

    /// Subtracts, stopping at zero.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Adds, stopping at the largest amount.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Sixteen big-endian bytes: the form SQLite keeps, because it sorts rightly.
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads what [`Self::to_be_bytes`] wrote.
    pub const fn from_be_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

/// Sums, stopping at the largest amount.
impl Sum for Xbzz {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Xbzz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / Self::PLUR_PER_XBZZ, self.0 % Self::PLUR_PER_XBZZ);
        if rest == 0 {
            return f.pad(&whole.to_string());
        }
        let decimals = format!("{rest:016}");
        f.pad(&format!("{whole}.{}", decimals.trim_end_matches('0')))
    }
}

impl FromStr for Xbzz {
    type Err = ParseXbzzError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shown = || text.chars().take(80).collect::<String>();
        let malformed = || ParseXbzzError::Malformed(shown());
        let too_large = || ParseXbzzError::TooLarge(shown());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || (whole.is_empty() && decimals.is_empty()) {
            return Err(malformed());
        }
        if decimals.len() > Self::DECIMALS as usize {
            return Err(ParseXbzzError::TooPrecise(shown()));
        }
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u128>().map_err(|_| too_large())? };
        let rest = format!("{decimals:0<16}").parse::<u128>().map_err(|_| malformed())?;
        let plur = whole.checked_mul(Self::PLUR_PER_XBZZ).and_then(|plur| plur.checked_add(rest));
        plur.map(Self).ok_or_else(too_large)
    }
}

impl Serialize for Xbzz {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Xbzz {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(de::Error::custom(format!("expected a decimal string of PLUR, got {text:?}")));
        }
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../protocol/vectors/amounts.json")).unwrap()
    }

    #[test]
    fn the_reference_vectors_hold() {
        let vectors = vectors();
        for pair in vectors["parse"].as_array().unwrap() {
            let amount: Xbzz = pair[0].as_str().unwrap().parse().unwrap();
            assert_eq!(amount.plur().to_string(), pair[1].as_str().unwrap());
        }
        for pair in vectors["format"].as_array().unwrap() {
            let amount = Xbzz::from_plur(pair[0].as_str().unwrap().parse().unwrap());
            assert_eq!(amount.to_string(), pair[1].as_str().unwrap());
        }
    }

    #[test]
    fn signs_exponents_and_a_seventeenth_decimal_are_refused() {
        for text in ["", ".", "-1", "+1", "1e3", "1,5", " 1", "0.00000000000000001", "1.2.3", "٣"] {
            assert!(text.parse::<Xbzz>().is_err(), "{text:?}");
        }
        assert!(matches!(u128::MAX.to_string().parse::<Xbzz>(), Err(ParseXbzzError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn any_amount_round_trips(plur: u128) {
            let amount = Xbzz::from_plur(plur);
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(Xbzz::from_be_bytes(amount.to_be_bytes()), amount);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Xbzz>(&json).unwrap(), amount);
        }

        #[test]
        fn any_text_parses_or_is_refused(text in ".*") {
            let _: Result<Xbzz, _> = text.parse();
        }

        #[test]
        fn bytes_sort_as_amounts_do(a: u128, b: u128) {
            let (a, b) = (Xbzz::from_plur(a), Xbzz::from_plur(b));
            prop_assert_eq!(a.cmp(&b), a.to_be_bytes().cmp(&b.to_be_bytes()));
        }
    }
}
