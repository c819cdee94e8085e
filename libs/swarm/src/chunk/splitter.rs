//! A file becomes a tree of chunks, 128 references to a node, without redundancy.

use t4t_types::SwarmRef;

use super::{Chunk, PAYLOAD_BYTES, SEGMENT_BYTES};

/// References that fit one chunk.
const BRANCHES: usize = PAYLOAD_BYTES / SEGMENT_BYTES;

struct Node {
    address: SwarmRef,
    span: u64,
}

/// Cuts `data` into chunks, hands each to `store` (children before parents), and returns the root's reference.
pub fn split(data: &[u8], mut store: impl FnMut(Chunk)) -> SwarmRef {
    let mut chunk = |span: u64, payload: &[u8]| {
        let chunk =
            Chunk::with_span(span.to_le_bytes(), payload).expect("pieces are cut to at most 4096 bytes");
        let node = Node { address: chunk.address(), span };
        store(chunk);
        node
    };
    if data.is_empty() {
        return chunk(0, data).address;
    }
    let mut level: Vec<Node> =
        data.chunks(PAYLOAD_BYTES).map(|leaf| chunk(leaf.len() as u64, leaf)).collect();
    while level.len() > 1 {
        let mut parents = Vec::with_capacity(level.len().div_ceil(BRANCHES));
        let mut nodes = level.into_iter().peekable();
        while nodes.peek().is_some() {
            let mut children: Vec<Node> = nodes.by_ref().take(BRANCHES).collect();
            // Bee carries a lone trailing reference up as it is, without a parent of its own.
            if children.len() == 1 {
                parents.append(&mut children);
                continue;
            }
            let references: Vec<u8> = children.iter().flat_map(|child| *child.address.as_bytes()).collect();
            parents.push(chunk(children.iter().map(|child| child.span).sum(), &references));
        }
        level = parents;
    }
    level[0].address
}

/// The reference under which `POST /bytes` at redundancy level 0 stores `data`.
pub fn root_reference(data: &[u8]) -> SwarmRef {
    split(data, drop)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::{JoinError, join};
    use super::*;

    const VECTORS: [(usize, &str); 21] = [
        (31, "ece86edb20669cc60d142789d464d57bdf5e33cb789d443f608cbd81cfa5697d"),
        (32, "0be77f0bb7abc9cd0abed640ee29849a3072ccfd1020019fe03658c38f087e02"),
        (33, "3463b46d4f9d5bfcbf9a23224d635e51896c1daef7d225b86679db17c5fd868e"),
        (63, "95510c2ff18276ed94be2160aed4e69c9116573b6f69faaeed1b426fea6a3db8"),
        (64, "490072cc55b8ad381335ff882ac51303cc069cbcb8d8d3f7aa152d9c617829fe"),
        (65, "541552bae05e9a63a6cb561f69edf36ffe073e441667dbf7a0e9a3864bb744ea"),
        (4096, "c10090961e7682a10890c334d759a28426647141213abda93b096b892824d2ef"),
        (4096 + 31, "91699c83ed93a1f87e326a29ccd8cc775323f9e7260035a5f014c975c5f3cd28"),
        (4096 + 32, "73759673a52c1f1707cbb61337645f4fcbd209cdc53d7e2cedaaa9f44df61285"),
        (4096 + 63, "db1313a727ffc184ae52a70012fbbf7235f551b9f2d2da04bf476abe42a3cb42"),
        (4096 + 64, "ade7af36ac0c7297dc1c11fd7b46981b629c6077bce75300f85b02a6153f161b"),
        (4096 * 2, "29a5fb121ce96194ba8b7b823a1f9c6af87e1791f824940a53b5a7efe3f790d9"),
        (4096 * 2 + 32, "61416726988f77b874435bdd89a419edc3861111884fd60e8adf54e2f299efd6"),
        (4096 * 128, "3047d841077898c26bbe6be652a2ec590a5d9bd7cd45d290ea42511b48753c09"),
        (4096 * 128 + 31, "e5c76afa931e33ac94bce2e754b1bb6407d07f738f67856783d93934ca8fc576"),
        (4096 * 128 + 32, "485a526fc74c8a344c43a4545a5987d17af9ab401c0ef1ef63aefcc5c2c086df"),
        (4096 * 128 + 64, "624b2abb7aefc0978f891b2a56b665513480e5dc195b4a66cd8def074a6d2e94"),
        (4096 * 129, "b8e1804e37a064d28d161ab5f256cc482b1423d5cd0a6b30fde7b0f51ece9199"),
        (4096 * 130, "59de730bf6c67a941f3b2ffa2f920acfaa1713695ad5deea12b4a121e5f23fa1"),
        (4096 * 128 * 128, "522194562123473dcfd7a457b18ee7dee8b7db70ed3cfa2b73f348a992fdfd3b"),
        (4096 * 128 * 128 + 32, "ed0cc44c93b14fef2d91ab3a3674eeb6352a42ac2f0bbe524711824aae1e7bcc"),
    ];

    fn file(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 255) as u8).collect()
    }

    #[test]
    fn the_nodes_own_vectors_hold() {
        for (length, reference) in VECTORS {
            assert_eq!(root_reference(&file(length)).to_string(), reference, "{length} bytes");
        }
    }

    #[test]
    fn every_vector_joins_to_what_was_split() {
        for (length, _) in VECTORS.into_iter().filter(|(length, _)| *length < 1 << 20) {
            let (data, mut chunks) = (file(length), HashMap::new());
            let root = split(&data, |chunk| drop(chunks.insert(chunk.address(), chunk)));
            assert_eq!(
                join(&root, |address| chunks.get(address).cloned(), length).unwrap(),
                data,
                "{length} bytes"
            );
            let short = join(&root, |address| chunks.get(address).cloned(), length - 1);
            assert_eq!(short, Err(JoinError::TooLarge { limit: length - 1 }));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_file_joins_to_what_was_split(data in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            let mut chunks = HashMap::new();
            let root = split(&data, |chunk| drop(chunks.insert(chunk.address(), chunk)));
            let joined = join(&root, |address| chunks.get(address).cloned(), data.len());
            prop_assert_eq!(joined.unwrap(), data);
        }

        #[test]
        fn any_chunk_joins_or_is_refused(span: [u8; 8], payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let root = Chunk::with_span(span, &payload).unwrap();
            let _: Result<_, _> = join(&root.address(), |address| (*address == root.address()).then(|| root.clone()), 4096);
        }
    }
}
