//! Signatures over 32-byte digests, as single-owner chunks and stamps carry them: EIP-191, `r ‖ s ‖ v`, v 27 or 28.
//!
//! They are kept as the bytes they came as: what is signed over is passed on unchanged.

use t4t_crypto::{Signature, WalletKey, recover_message};
use t4t_types::Address;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = Signature::BYTES;

/// Signs `digest` with `key`.
pub(crate) fn sign(key: &WalletKey, digest: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
    key.sign_message(digest).to_bytes()
}

/// Who signed `digest`; `None` if nobody can have.
pub(crate) fn recover(signature: &[u8; SIGNATURE_BYTES], digest: &[u8; 32]) -> Option<Address> {
    if !matches!(signature[64], 27 | 28) {
        return None;
    }
    recover_message(digest, &Signature::from_bytes(signature).ok()?).ok()
}
