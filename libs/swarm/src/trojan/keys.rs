//! Keys that messages are encrypted to.

use std::fmt;
use std::str::FromStr;

use secp256k1::{Parity, PublicKey, SecretKey, XOnlyPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Topic;

/// A node's key for messages: a compressed point of secp256k1. Text form: 66 digits, no `0x`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PssPublicKey(PublicKey);

/// A text or bytes that are not a compressed public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a compressed secp256k1 public key of 33 bytes")]
pub struct ParseKeyError;

impl PssPublicKey {
    /// Reads the compressed form.
    pub fn from_bytes(bytes: &[u8; 33]) -> Result<Self, ParseKeyError> {
        PublicKey::from_byte_array_compressed(*bytes).map(Self).map_err(|_| ParseKeyError)
    }

    /// The compressed form.
    pub fn to_bytes(&self) -> [u8; 33] {
        self.0.serialize()
    }

    pub(super) fn point(&self) -> PublicKey {
        self.0
    }
}

impl fmt::Display for PssPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PssPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PssPublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 33];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseKeyError)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PssPublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PssPublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The secret half of a [`PssPublicKey`]; erased when dropped, never shown.
pub struct PssSecretKey(SecretKey);

impl PssSecretKey {
    /// Makes a new key.
    pub fn random() -> Result<Self, getrandom::Error> {
        random_key().map(Self)
    }

    /// Reads 32 bytes; zero and what lies beyond the curve's order is refused.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, ParseKeyError> {
        SecretKey::from_secret_bytes(bytes).map(Self).map_err(|_| ParseKeyError)
    }

    /// The public half.
    pub fn public_key(&self) -> PssPublicKey {
        PssPublicKey(self.0.public_key())
    }

    pub(super) fn scalar(&self) -> &SecretKey {
        &self.0
    }
}

impl Drop for PssSecretKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for PssSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PssSecretKey(…)")
    }
}

/// A key from the system's randomness.
pub(super) fn random_key() -> Result<SecretKey, getrandom::Error> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        // Fails for about one value in 2^128.
        if let Ok(key) = SecretKey::from_secret_bytes(bytes) {
            return Ok(key);
        }
    }
}

/// The key that everyone who knows a topic has: the topic modulo the curve's order.
pub(super) fn topic_key(topic: &Topic) -> Option<SecretKey> {
    let bytes = *topic.as_bytes();
    SecretKey::from_secret_bytes(bytes).or_else(|_| SecretKey::from_secret_bytes(minus_order(bytes))).ok()
}

/// `value - n`; right for values from n up to 2^256, which is all there is.
fn minus_order(mut value: [u8; 32]) -> [u8; 32] {
    let mut borrow = 0;
    for (byte, order) in value.iter_mut().zip(secp256k1::constants::CURVE_ORDER).rev() {
        let difference = i16::from(*byte) - i16::from(order) - borrow;
        borrow = i16::from(difference < 0);
        *byte = difference.rem_euclid(256) as u8;
    }
    value
}

/// A point with this X coordinate. Which of the two doesn't matter: only X of the shared point is used.
pub(super) fn lift_x(x: &[u8; 32]) -> Option<PublicKey> {
    let x = XOnlyPublicKey::from_byte_array(*x).ok()?;
    Some(x.public_key(Parity::Even))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_beyond_the_order_is_reduced() {
        let mut topic = secp256k1::constants::CURVE_ORDER;
        topic[31] += 5;
        let mut five = [0; 32];
        five[31] = 5;
        let key = topic_key(&Topic(topic)).unwrap();
        assert_eq!(key.to_secret_bytes(), five);
        assert_eq!(topic_key(&Topic(secp256k1::constants::CURVE_ORDER)), None);
    }

    #[test]
    fn a_secret_key_is_never_shown() {
        let key = PssSecretKey::from_bytes([7; 32]).unwrap();
        assert!(!format!("{key:?}").contains('7'));
    }
}
