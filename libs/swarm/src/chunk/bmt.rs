//! The binary Merkle tree over a chunk's 128 segments.

use std::sync::LazyLock;

use super::{PAYLOAD_BYTES, SEGMENT_BYTES};
use crate::keccak::keccak_pair;

/// Levels of hashing between a segment and the root.
pub(crate) const DEPTH: usize = 7;

/// The root of an all-zero subtree at each level; level 0 is one segment.
static ZERO_ROOTS: LazyLock<[[u8; 32]; DEPTH + 1]> = LazyLock::new(|| {
    let mut roots = [[0; 32]; DEPTH + 1];
    for level in 0..DEPTH {
        roots[level + 1] = keccak_pair(&roots[level], &roots[level]);
    }
    roots
});

fn segments(payload: &[u8]) -> Vec<[u8; 32]> {
    let mut segments = Vec::with_capacity(PAYLOAD_BYTES / SEGMENT_BYTES);
    for bytes in payload.chunks(SEGMENT_BYTES) {
        let mut segment = [0; SEGMENT_BYTES];
        segment[..bytes.len()].copy_from_slice(bytes);
        segments.push(segment);
    }
    segments
}

/// Replaces the nodes of one level by their parents; what lies right of the last node is zero.
fn climb(nodes: &mut Vec<[u8; 32]>, level: usize) {
    if nodes.len() % 2 == 1 {
        nodes.push(ZERO_ROOTS[level]);
    }
    for parent in 0..nodes.len() / 2 {
        nodes[parent] = keccak_pair(&nodes[2 * parent], &nodes[2 * parent + 1]);
    }
    nodes.truncate(nodes.len() / 2);
}

/// The Merkle root of a payload, padded with zeros to 4096 bytes. Longer payloads are cut there.
pub fn bmt_root(payload: &[u8]) -> [u8; 32] {
    let mut nodes = segments(&payload[..payload.len().min(PAYLOAD_BYTES)]);
    if nodes.is_empty() {
        return ZERO_ROOTS[DEPTH];
    }
    for level in 0..DEPTH {
        climb(&mut nodes, level);
    }
    nodes[0]
}

/// The right-hand siblings on the way from the first segment to the root; they don't depend on that segment.
pub(crate) fn sibling_path(payload: &[u8; PAYLOAD_BYTES]) -> [[u8; 32]; DEPTH] {
    let mut nodes = segments(payload);
    let mut path = [[0; 32]; DEPTH];
    for (level, sibling) in path.iter_mut().enumerate() {
        *sibling = nodes[1];
        climb(&mut nodes, level);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_do_not_change_the_root() {
        let mut padded = vec![7; 100];
        let root = bmt_root(&padded);
        padded.resize(PAYLOAD_BYTES, 0);
        assert_eq!(bmt_root(&padded), root);
    }

    #[test]
    fn the_sibling_path_leads_from_the_first_segment_to_the_root() {
        let payload: [u8; PAYLOAD_BYTES] = std::array::from_fn(|index| (index % 251) as u8);
        let mut node: [u8; 32] = payload[..32].try_into().unwrap();
        for sibling in sibling_path(&payload) {
            node = keccak_pair(&node, &sibling);
        }
        assert_eq!(node, bmt_root(&payload));
    }
}
