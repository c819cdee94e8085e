//! The wallet's key.

use std::fmt;

use secp256k1::Message;
use secp256k1::ecdsa::RecoverableSignature;
use t4t_types::Address;
use zeroize::Zeroizing;

use crate::secret::SecretScalar;
use crate::signature::address_of;
use crate::{CryptoError, Signature, message_digest, typed_digest};

/// The key of a wallet: it signs transactions, envelopes and vouchers.
///
/// Erased when dropped. `Debug` shows the address only.
pub struct WalletKey {
    secret: SecretScalar,
    address: Address,
}

impl WalletKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`] if the system has no random bytes.
    pub fn generate() -> Result<Self, CryptoError> {
        SecretScalar::generate().map(Self::from_secret)
    }

    /// Reads 32 big-endian bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSecretKey`] if the number is zero or not below the curve's order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        SecretScalar::from_bytes(bytes).map(Self::from_secret)
    }

    /// Reads the text form: `0x` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSecretKey`] for any other text. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let digits = text.strip_prefix("0x").ok_or(CryptoError::InvalidSecretKey)?;
        SecretScalar::from_hex(digits).map(Self::from_secret)
    }

    fn from_secret(secret: SecretScalar) -> Self {
        let address = address_of(&secret.public_point());
        Self { secret, address }
    }

    /// The wallet's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest. Deterministic (RFC 6979): the same digest gives the same signature.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Signature {
        let message = Message::from_digest(*digest);
        Signature::from_recoverable(&RecoverableSignature::sign_ecdsa_recoverable(
            message,
            self.secret.as_key(),
        ))
    }

    /// Signs a message as EIP-191 says (`personal_sign`).
    pub fn sign_message(&self, message: &[u8]) -> Signature {
        self.sign_digest(&message_digest(message))
    }

    /// Signs a typed structure as EIP-712 says.
    pub fn sign_typed(&self, domain_separator: &[u8; 32], struct_hash: &[u8; 32]) -> Signature {
        self.sign_digest(&typed_digest(domain_separator, struct_hash))
    }

    /// The secret itself, 32 big-endian bytes, erased when dropped. For key files and derived keys only.
    pub fn secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.secret.as_bytes())
    }

    /// The secret's text form: `0x` and 64 hexadecimal digits.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let digits = self.secret.to_hex();
        let mut text = Zeroizing::new(String::with_capacity(2 + digits.len()));
        text.push_str("0x");
        text.push_str(&digits);
        text
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletKey").field("address", &self.address).finish_non_exhaustive()
    }
}
