//! Sealed payloads (`t4t-ecies-v1`) and the key that opens them.
//!
//! A sealed payload is `ephemeral public key (33, compressed) ‖ iv (12) ‖ ciphertext ‖ tag (16)`: ECDH on secp256k1,
//! HKDF-SHA256 of the shared X coordinate, AES-256-GCM without associated data. It says nothing about who sealed it.

use std::fmt;

use aes_gcm::aead::{Aead, AeadInOut};
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use secp256k1::PublicKey;
use secp256k1::ecdh::shared_secret_point;
use sha2::Sha256;
use t4t_types::EncryptionKey;
use zeroize::Zeroizing;

use crate::sealed::{IV_BYTES, POINT_BYTES, SEALING_OVERHEAD};
use crate::secret::SecretScalar;
use crate::{CryptoError, WalletKey, random_bytes};

const PAYLOAD_INFO: &[u8] = b"t4t-ecies-v1";
const DERIVED_KEY_INFO: &[u8] = b"t4t-pss-v1";
/// First byte of a compressed point with even Y.
const EVEN_Y: u8 = 2;

/// The secret that opens what peers seal to us (version 1 calls it the PSS key).
///
/// Its public point always has even Y, because peers know the X coordinate alone. Erased when dropped; `Debug` shows
/// the public key only.
pub struct SealingKey {
    secret: SecretScalar,
    public: EncryptionKey,
}

impl SealingKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`] if the system has no random bytes.
    pub fn generate() -> Result<Self, CryptoError> {
        loop {
            // Every second secret has a point with even Y.
            match Self::from_secret(SecretScalar::generate()?) {
                Err(CryptoError::OddPublicKey) => {}
                made => return made,
            }
        }
    }

    /// Derives the key that belongs to a wallet: HKDF-SHA256 with a counter as salt, the first whose point has even Y.
    pub fn derive(wallet: &WalletKey) -> Self {
        let ikm = wallet.secret_bytes();
        let candidate = |counter: u8| {
            let bytes = derive_key(Some(&[counter]), ikm.as_slice(), DERIVED_KEY_INFO);
            Self::from_bytes(&bytes).ok()
        };
        (0..=u8::MAX).find_map(candidate).expect("256 points don't all have odd Y: one chance in 2^256")
    }

    /// Reads 32 big-endian bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSecretKey`] outside the curve's order, [`CryptoError::OddPublicKey`] if the public point
    /// has odd Y.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        SecretScalar::from_bytes(bytes).and_then(Self::from_secret)
    }

    /// Reads 64 hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// As [`Self::from_bytes`]. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        SecretScalar::from_hex(text.strip_prefix("0x").unwrap_or(text)).and_then(Self::from_secret)
    }

    fn from_secret(secret: SecretScalar) -> Result<Self, CryptoError> {
        let point = secret.public_point().serialize();
        if point[0] != EVEN_Y {
            return Err(CryptoError::OddPublicKey);
        }
        let mut x = [0; 32];
        x.copy_from_slice(&point[1..]);
        Ok(Self { secret, public: EncryptionKey::new(x) })
    }

    /// What peers seal to; published on the chain.
    pub const fn public(&self) -> EncryptionKey {
        self.public
    }

    /// Opens a payload that was sealed to this key.
    ///
    /// # Errors
    /// [`CryptoError::SealedTooShort`] or [`CryptoError::NotOpened`]; never panics, whatever the bytes.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        if sealed.len() < SEALING_OVERHEAD {
            return Err(CryptoError::SealedTooShort { got: sealed.len() });
        }
        let (point, rest) = sealed.split_at(POINT_BYTES);
        let (iv, ciphertext) = rest.split_at(IV_BYTES);
        let ephemeral = PublicKey::from_slice(point).map_err(|_| CryptoError::NotOpened)?;
        let iv: &[u8; IV_BYTES] = iv.try_into().map_err(|_| CryptoError::NotOpened)?;
        let mut payload = Zeroizing::new(ciphertext.to_vec());
        cipher(&shared_x(&ephemeral, &self.secret))
            .decrypt_in_place(iv.into(), &[], &mut *payload)
            .map_err(|_| CryptoError::NotOpened)?;
        Ok(payload)
    }

    /// The secret's text form: 64 hexadecimal digits.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        self.secret.to_hex()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Seals a payload to a peer's key. The result is [`SEALING_OVERHEAD`] bytes longer than the payload.
///
/// # Errors
/// [`CryptoError::NotAPoint`] if the peer published something that is no key (half of all 32-byte values aren't).
pub fn seal(to: &EncryptionKey, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let recipient = point_of(to)?;
    let ephemeral = SecretScalar::generate()?;
    let shared = shared_x(&recipient, &ephemeral);
    assemble(&ephemeral.public_point(), &shared, &random_bytes()?, plaintext)
}

/// The point with even Y whose X coordinate `key` is.
fn point_of(key: &EncryptionKey) -> Result<PublicKey, CryptoError> {
    let mut compressed = [EVEN_Y; POINT_BYTES];
    compressed[1..].copy_from_slice(key.as_bytes());
    PublicKey::from_slice(&compressed).map_err(|_| CryptoError::NotAPoint(*key))
}

/// Encrypts under what both sides share and lays the parts out.
fn assemble(
    ephemeral: &PublicKey,
    shared_x: &[u8; 32],
    iv: &[u8; IV_BYTES],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let ciphertext =
        cipher(shared_x).encrypt(iv.into(), plaintext).map_err(|_| CryptoError::PlaintextTooLong)?;
    Ok([ephemeral.serialize().as_slice(), iv, &ciphertext].concat())
}

/// The X coordinate of `secret × point`.
fn shared_x(point: &PublicKey, secret: &SecretScalar) -> Zeroizing<[u8; 32]> {
    let xy = Zeroizing::new(shared_secret_point(point, secret.as_key()));
    let mut x = Zeroizing::new([0; 32]);
    x.copy_from_slice(&xy[..32]);
    x
}

fn cipher(shared_x: &[u8; 32]) -> Aes256Gcm {
    let key = derive_key(None, shared_x, PAYLOAD_INFO);
    Aes256Gcm::new((&*key).into())
}

/// HKDF-SHA256 to 32 bytes.
fn derive_key(salt: Option<&[u8]>, ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(salt, ikm)
        .expand(info, key.as_mut_slice())
        .expect("32 bytes are within HKDF-SHA256's limit of 8160");
    key
}

#[cfg(test)]
mod tests;
