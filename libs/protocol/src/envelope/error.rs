//! Why an envelope is refused.

use t4t_crypto::CryptoError;
use t4t_types::Address;

use crate::{FieldError, MAX_ENVELOPE_BYTES};
use t4t_json::canonical::JsonError;

/// An envelope that can't be built, or that is dropped because it proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than any envelope.
    #[error("an envelope has at most {MAX_ENVELOPE_BYTES} bytes, got {bytes}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Not JSON.
    #[error("the envelope is not JSON")]
    Json(#[from] JsonError),
    /// A field is missing or holds something else than it should.
    #[error("the envelope is malformed")]
    Malformed(#[from] FieldError),
    /// Nobody can have made the signature.
    #[error("the envelope's signature is not valid")]
    Signature(#[from] CryptoError),
    /// Signed by another wallet than the sender it names: forged, or altered on the way.
    #[error("the envelope claims to be from {claimed} but was signed by {signer}")]
    WrongSigner {
        /// The sender it names.
        claimed: Address,
        /// Who signed it.
        signer: Address,
    },
}
