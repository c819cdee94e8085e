//! Recoverable ECDSA signatures and the digests that are signed.

use std::fmt;
use std::str::FromStr;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use t4t_types::{Address, keccak256};

use crate::CryptoError;

/// Ethereum's offset of the recovery id in the last byte of a signature.
const V_OFFSET: u8 = 27;

/// A recoverable signature `r ‖ s ‖ v`.
///
/// Text and JSON form: `0x` and 130 hexadecimal digits, v = 27 or 28. Reading takes v = 0 or 1 and high s as well, as
/// the reference does, and turns both into the one form kept here (low s), so two texts of one signature are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
    recovery_id: u8,
}

impl Signature {
    /// Bytes of a signature.
    pub const BYTES: usize = 65;

    /// Reads 65 bytes.
    ///
    /// # Errors
    /// [`CryptoError::MalformedSignature`] if v is none of 0, 1, 27, 28, or r or s is not below the curve's order.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, CryptoError> {
        let recovery_id = match bytes[64] {
            v @ (0 | 1) => v,
            v @ (27 | 28) => v - V_OFFSET,
            _ => return Err(CryptoError::MalformedSignature),
        };
        let recoverable =
            RecoverableSignature::from_compact(&bytes[..64], RecoveryId::from_u8_masked(recovery_id))
                .map_err(|_| CryptoError::MalformedSignature)?;
        let mut standard = recoverable.to_standard();
        standard.normalize_s();
        let low = standard.serialize_compact();
        // (r, n − s) with the other parity is the same signature.
        let flipped = u8::from(low[32..] != bytes[32..64]);
        Ok(Self::from_compact(&low, recovery_id ^ flipped))
    }

    fn from_compact(compact: &[u8; 64], recovery_id: u8) -> Self {
        let mut signature = Self { r: [0; 32], s: [0; 32], recovery_id };
        signature.r.copy_from_slice(&compact[..32]);
        signature.s.copy_from_slice(&compact[32..]);
        signature
    }

    /// The signature the curve's library made.
    pub(crate) fn from_recoverable(signature: &RecoverableSignature) -> Self {
        let (recovery_id, compact) = signature.serialize_compact();
        // Ids 2 and 3 need an r above the order: one signature in 2^127.
        Self::from_compact(&compact, recovery_id.to_u8() & 1)
    }

    /// `r ‖ s ‖ v` with v = 27 or 28.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..64].copy_from_slice(&self.s);
        bytes[64] = self.recovery_id + V_OFFSET;
        bytes
    }

    /// The number r, big-endian.
    pub const fn r(&self) -> &[u8; 32] {
        &self.r
    }

    /// The number s, big-endian, at most half the curve's order.
    pub const fn s(&self) -> &[u8; 32] {
        &self.s
    }

    /// 0 or 1: the parity of the point that r is the X coordinate of. Typed transactions carry it.
    pub const fn recovery_id(&self) -> u8 {
        self.recovery_id
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signature {
    type Err = CryptoError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").ok_or(CryptoError::MalformedSignature)?;
        let mut bytes = [0; Self::BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| CryptoError::MalformedSignature)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The EIP-191 digest of a message (`personal_sign`).
pub fn message_digest(message: &[u8]) -> [u8; 32] {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    keccak256([prefix.as_bytes(), message].concat())
}

/// The EIP-712 digest of a typed structure, from its domain's separator and its hash.
pub fn typed_digest(domain_separator: &[u8; 32], struct_hash: &[u8; 32]) -> [u8; 32] {
    keccak256([b"\x19\x01".as_slice(), domain_separator, struct_hash].concat())
}

/// Recovers who signed a digest.
///
/// # Errors
/// [`CryptoError::UnrecoverableSignature`] if no key can have made the signature.
pub fn recover_digest(digest: &[u8; 32], signature: &Signature) -> Result<Address, CryptoError> {
    let bytes = signature.to_bytes();
    let recovery_id = RecoveryId::from_u8_masked(signature.recovery_id);
    let point = RecoverableSignature::from_compact(&bytes[..64], recovery_id)
        .and_then(|recoverable| recoverable.recover(Message::from_digest(*digest)))
        .map_err(|_| CryptoError::UnrecoverableSignature)?;
    Ok(address_of(&point))
}

/// Recovers who signed a message with [`crate::WalletKey::sign_message`] (EIP-191).
///
/// # Errors
/// [`CryptoError::UnrecoverableSignature`] if no key can have made the signature.
pub fn recover_message(message: &[u8], signature: &Signature) -> Result<Address, CryptoError> {
    recover_digest(&message_digest(message), signature)
}

/// The address that a public point stands for.
pub(crate) fn address_of(point: &PublicKey) -> Address {
    let hash = keccak256(&point.serialize_uncompressed()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Address::new(address)
}

#[cfg(test)]
mod tests;
