//! The stream cipher of trojan chunks and its key.

use secp256k1::{PublicKey, SecretKey, ecdh};
use t4t_types::keccak256;

use super::Topic;
use crate::chunk::{SEGMENT_BYTES, SPAN_BYTES};

/// The key that sender and recipient share: `keccak(x ‖ topic)`, x without leading zero bytes.
pub(super) fn shared_key(public: &PublicKey, secret: &SecretKey, topic: &Topic) -> [u8; 32] {
    let point = ecdh::shared_secret_point(public, secret);
    let x = &point[..32];
    let zeros = x.iter().take_while(|byte| **byte == 0).count();
    keccak256([&x[zeros..], topic.as_bytes()].concat())
}

/// By which a subscriber sees that a chunk is on its topic: `keccak(key ‖ topic)`, the first 8 bytes.
pub(super) fn hint(key: &[u8; 32], topic: &Topic) -> [u8; SPAN_BYTES] {
    let hash = keccak256([&key[..], topic.as_bytes()].concat());
    hash.first_chunk().copied().expect("a hash has 32 bytes")
}

/// Encrypts or decrypts in place: segment i is combined (exclusive or) with `keccak(keccak(key ‖ u32LE i))`.
pub(super) fn apply(key: &[u8; 32], data: &mut [u8]) {
    for (counter, segment) in (0u32..).zip(data.chunks_mut(SEGMENT_BYTES)) {
        let pad = keccak256(keccak256([&key[..], &counter.to_le_bytes()].concat()));
        for (byte, pad) in segment.iter_mut().zip(pad) {
            *byte ^= pad;
        }
    }
}
