//! Addresses of wallets and contracts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::keccak256;

/// A wallet's or contract's address on the chain. Text form: EIP-55 checksummed; any case is read.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 0x and 40 hexadecimal digits, got {got:?}")]
pub struct ParseAddressError {
    /// The text as given, shortened to 80 characters.
    pub got: String,
}

impl Address {
    /// The zero address.
    pub const ZERO: Self = Self([0; 20]);

    /// Wraps the raw bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 20]
    }

    /// The lower-case text form, as version-1 topics use it.
    pub fn to_lowercase(&self) -> String {
        format!("0x{}", hex::encode(self.0))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let hash = keccak256(&digits);
        f.write_str("0x")?;
        for (index, digit) in digits.chars().enumerate() {
            let nibble = hash[index / 2] >> (4 * (1 - index % 2)) & 0xf;
            let digit = if nibble >= 8 { digit.to_ascii_uppercase() } else { digit };
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseAddressError { got: text.chars().take(80).collect() };
        let digits = text.strip_prefix("0x").ok_or_else(refused)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_checksummed_as_eip_55_says() {
        for text in
            ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"]
        {
            assert_eq!(text.to_lowercase().parse::<Address>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 20]) {
            prop_assert_eq!(Address::new(bytes).to_string().parse(), Ok(Address::new(bytes)));
        }
    }
}
