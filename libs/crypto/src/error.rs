//! What goes wrong with keys, signatures and sealed payloads.

use t4t_types::EncryptionKey;

/// A key, a signature or a sealed payload that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The operating system gave no random bytes; nothing secret can be made.
    #[error("the system gave no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    /// Not a secret key: the text is not 64 hexadecimal digits, or the number is outside the curve's order.
    #[error("not a secret key: expected 64 hexadecimal digits within the order of secp256k1")]
    InvalidSecretKey,
    /// The secret's public point has odd Y, so its X alone does not name it: peers could not seal to it.
    #[error("not a sealing key: its public point has odd Y")]
    OddPublicKey,
    /// No point of the curve has this X coordinate; the peer that published it can't be sealed to.
    #[error("{0} is not the X coordinate of a point of secp256k1")]
    NotAPoint(EncryptionKey),
    /// Not a signature: the text is not 0x and 130 hexadecimal digits, or a number in it is out of range.
    #[error("not a signature: expected 0x and 130 hexadecimal digits in range")]
    MalformedSignature,
    /// No public key could have made this signature of this digest.
    #[error("no key can have made this signature")]
    UnrecoverableSignature,
    /// Shorter than the parts that every sealed payload has.
    #[error("a sealed payload has at least {min} bytes, got {got}", min = crate::sealed::SEALING_OVERHEAD)]
    SealedTooShort {
        /// Bytes given.
        got: usize,
    },
    /// Sealed to another key, or altered on the way.
    #[error("the sealed payload does not open with this key")]
    NotOpened,
    /// More than the cipher can seal at once (about 64 GiB).
    #[error("the payload is too long to seal")]
    PlaintextTooLong,
}
