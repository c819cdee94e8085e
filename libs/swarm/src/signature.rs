//! Signatures over 32-byte digests, as SOCs and stamps carry them: EIP-191, `r ‖ s ‖ v`, v 27 or 28.

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};
use t4t_types::{Address, keccak256};

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 65;

fn message(digest: &[u8; 32]) -> Message {
    let mut text = b"\x19Ethereum Signed Message:\n32".to_vec();
    text.extend_from_slice(digest);
    Message::from_digest(keccak256(text))
}

/// Signs `digest` with `key`.
pub(crate) fn sign(key: &SecretKey, digest: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
    let (id, compact) =
        RecoverableSignature::sign_ecdsa_recoverable(message(digest), key).serialize_compact();
    let mut signature = [0; SIGNATURE_BYTES];
    signature[..64].copy_from_slice(&compact);
    signature[64] = 27 + id.to_u8();
    signature
}

/// Who signed `digest`; `None` if nobody can have.
pub(crate) fn recover(signature: &[u8; SIGNATURE_BYTES], digest: &[u8; 32]) -> Option<Address> {
    let (compact, v) = signature.split_at(64);
    let id = RecoveryId::from_u8_masked(v[0].checked_sub(27).filter(|id| *id < 2)?);
    let signature = RecoverableSignature::from_compact(compact, id).ok()?;
    signature.recover_ecdsa(message(digest)).ok().map(|key| address_of(&key))
}

/// The wallet address of a public key.
pub(crate) fn address_of(key: &PublicKey) -> Address {
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Address::new(address)
}
