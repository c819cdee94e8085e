//! Keccak-256 of two segments, the one operation that Merkle trees and mining are made of.

use t4t_types::keccak256;

/// Hashes `left ‖ right`.
pub(crate) fn keccak_pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    keccak256(both)
}
