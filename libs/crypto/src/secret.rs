//! The secret number behind both kinds of key.

use std::fmt;

use secp256k1::{PublicKey, SecretKey};
use zeroize::Zeroizing;

use crate::{CryptoError, random_bytes};

/// A secret number within the curve's order, erased when dropped.
///
/// Boxed, so that moving a key leaves no copy behind on the stack.
pub(crate) struct SecretScalar(Box<SecretKey>);

impl SecretScalar {
    /// Draws a uniformly random one.
    pub(crate) fn generate() -> Result<Self, CryptoError> {
        loop {
            let bytes = Zeroizing::new(random_bytes::<32>()?);
            // Fewer than one draw in 2^127 lies outside the order.
            if let Ok(secret) = Self::from_bytes(&bytes) {
                return Ok(secret);
            }
        }
    }

    /// Reads 32 big-endian bytes.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        let secret = SecretKey::from_secret_bytes(*bytes).map_err(|_| CryptoError::InvalidSecretKey)?;
        Ok(Self(Box::new(secret)))
    }

    /// Reads 64 hexadecimal digits.
    pub(crate) fn from_hex(digits: &str) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| CryptoError::InvalidSecretKey)?;
        Self::from_bytes(&bytes)
    }

    /// 64 hexadecimal digits.
    pub(crate) fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_secret_bytes()))
    }

    /// 32 big-endian bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_secret_bytes()
    }

    /// The number, as the curve's library takes it.
    pub(crate) fn as_key(&self) -> &SecretKey {
        &self.0
    }

    /// The public point.
    pub(crate) fn public_point(&self) -> PublicKey {
        PublicKey::from_secret_key(&self.0)
    }
}

impl Drop for SecretScalar {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for SecretScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
