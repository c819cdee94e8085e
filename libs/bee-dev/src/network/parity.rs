//! Content as a node stores it at a redundancy level above 0: other trees, more chunks, copies of the root.
//!
//! The parity chunks lie at places of their own and are paid for, but nothing could be recovered from them: nothing is
//! ever lost here.

use t4t_crypto::WalletKey;
use t4t_swarm::chunk::{Chunk, PAYLOAD_BYTES, Redundancy, SEGMENT_BYTES, SPAN_BYTES, split};
use t4t_swarm::soc::Soc;
use t4t_types::SwarmRef;

use super::store::Content;

/// The key that owns all copies of roots, on the real network as well.
const COPIES_KEY: [u8; 32] = {
    let mut key = [0; 32];
    key[0] = 1;
    key
};

/// Marks a parent's span with its level.
const LEVEL_MARK: u8 = 0x80;

struct Reference {
    chunk: Chunk,
    bytes: u64,
}

/// Cuts `data` into chunks, children before parents, and returns the root's reference.
pub(crate) fn pieces(data: &[u8], level: Redundancy) -> (SwarmRef, Vec<Content>) {
    let mut content = Vec::new();
    if level == Redundancy::None {
        let root = split(data, |chunk| content.push(Content::Chunk(chunk)));
        return (root, content);
    }
    let leaves = data.chunks(PAYLOAD_BYTES).map(|leaf| Reference {
        chunk: Chunk::content(leaf).expect("pieces are cut to at most 4096 bytes"),
        bytes: leaf.len() as u64,
    });
    let mut references: Vec<Reference> = leaves.collect();
    if references.is_empty() {
        let chunk = Chunk::content(&[]).expect("nothing fits a chunk");
        references.push(Reference { chunk, bytes: 0 });
    }
    content.extend(references.iter().map(|reference| Content::Chunk(reference.chunk.clone())));
    while references.len() > 1 {
        let mut parents = Vec::new();
        for group in groups(references, level.most_data()) {
            match <[Reference; 1]>::try_from(group) {
                Ok([lone]) => parents.push(lone),
                Err(group) => parents.push(parent(&group, level, &mut content)),
            }
        }
        references = parents;
    }
    let root = &references[0].chunk;
    content.extend((0..level.root_copies()).map(|number| copy(root, number)));
    (root.address(), content)
}

fn groups(references: Vec<Reference>, size: usize) -> Vec<Vec<Reference>> {
    let mut groups = Vec::new();
    let mut rest = references.into_iter().peekable();
    while rest.peek().is_some() {
        groups.push(rest.by_ref().take(size).collect());
    }
    groups
}

fn parent(group: &[Reference], level: Redundancy, content: &mut Vec<Content>) -> Reference {
    let parities: Vec<Chunk> = (0..level.parities(group.len())).map(|number| parity(group, number)).collect();
    let children = group.iter().map(|child| &child.chunk).chain(&parities);
    let payload: Vec<u8> = children.flat_map(|child| *child.address().as_bytes()).collect();
    debug_assert!(payload.len() <= PAYLOAD_BYTES && payload.len() >= 2 * SEGMENT_BYTES);
    let bytes = group.iter().map(|child| child.bytes).sum::<u64>();
    let mut span = bytes.to_le_bytes();
    span[SPAN_BYTES - 1] = LEVEL_MARK | level.level();
    let chunk = Chunk::with_span(span, &payload).expect("a group and its parities fit one parent");
    content.extend(parities.into_iter().map(Content::Chunk));
    content.push(Content::Chunk(chunk.clone()));
    Reference { chunk, bytes }
}

/// All data of a group laid over each other, and a number.
fn parity(group: &[Reference], number: usize) -> Chunk {
    let mut bytes = [0; PAYLOAD_BYTES];
    for child in group {
        bytes.iter_mut().zip(&child.chunk.payload()).for_each(|(mine, theirs)| *mine ^= theirs);
    }
    Chunk::with_span((number as u64).to_le_bytes(), &bytes).expect("a payload fits a chunk")
}

fn copy(root: &Chunk, number: usize) -> Content {
    let key = WalletKey::from_bytes(&COPIES_KEY).expect("the published key is one");
    let mut id = *root.address().as_bytes();
    id[0] = number as u8;
    Content::Soc(Box::new(Soc::sign(id, root.clone(), &key)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use t4t_swarm::chunk::{join, root_reference};

    use super::*;

    #[test]
    fn content_of_any_length_is_read_at_every_level_and_costs_what_is_said() {
        for level in 0..=4 {
            let level = Redundancy::of_level(level).unwrap();
            for length in [0, 1, 4096, 4097, 10_000, 4096 * 38 + 1, 4096 * 119 + 5, 4096 * 240] {
                let data: Vec<u8> = (0..length).map(|index| (index / 4096 + index % 251) as u8).collect();
                let (root, content) = pieces(&data, level);
                assert_eq!(content.len(), level.stamps(length), "{level:?}, {length} bytes");
                let is_plain = length <= PAYLOAD_BYTES || level == Redundancy::None;
                assert_eq!(root == root_reference(&data), is_plain, "{level:?}, {length} bytes");
                let chunks: HashMap<_, _> =
                    content.into_iter().map(|content| (content.address(), content.chunk().clone())).collect();
                let joined = join(&root, |address| chunks.get(address).cloned(), length);
                assert_eq!(joined.unwrap(), data, "{level:?}, {length} bytes");
            }
        }
    }
}
