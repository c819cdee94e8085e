//! Keccak-256 of inputs that fit one block, which Merkle trees and mining are made of.
//!
//! The same function as [`t4t_types::keccak256`] without its buffering, which costs a tenth of a mining's time.

use tiny_keccak::keccakf;

/// Bytes of a block; one of them at least is padding.
const RATE: usize = 136;

/// Hashes `left ‖ right`.
pub(crate) fn keccak_pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut state = [0; 25];
    absorb(&mut state, left);
    absorb(&mut state[4..], right);
    squeeze(state, 8)
}

/// Hashes `span ‖ root`.
pub(crate) fn keccak_span(span: &[u8; 8], root: &[u8; 32]) -> [u8; 32] {
    let mut state = [0; 25];
    absorb(&mut state, span);
    absorb(&mut state[1..], root);
    squeeze(state, 5)
}

fn absorb(state: &mut [u64], bytes: &[u8]) {
    for (lane, bytes) in state.iter_mut().zip(bytes.as_chunks().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
}

/// Pads after `lanes` lanes of input, permutes and takes the digest.
fn squeeze(mut state: [u64; 25], lanes: usize) -> [u8; 32] {
    state[lanes] = 1;
    state[RATE / 8 - 1] |= 1 << 63;
    keccakf(&mut state);
    let mut digest = [0; 32];
    for (bytes, lane) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = lane.to_le_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use t4t_types::keccak256;

    use super::*;

    proptest! {
        #[test]
        fn both_are_keccak256(left: [u8; 32], right: [u8; 32], span: [u8; 8]) {
            prop_assert_eq!(keccak_pair(&left, &right), keccak256([left, right].concat()));
            prop_assert_eq!(keccak_span(&span, &right), keccak256([&span[..], &right].concat()));
        }
    }
}
