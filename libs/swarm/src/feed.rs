//! A feed's manifest: one reference that stays the same, and leads a Bee node to the feed's newest update.
//!
//! It is what `POST /feeds/{owner}/{topic}` stores, computed here: a trie of two nodes in the format `mantaray:0.2`,
//! without obfuscation. Owner and topic determine it, so anybody can make it again.

use bytes::Bytes;
use t4t_types::{Address, SwarmRef};

use crate::chunk::Chunk;

/// The first 31 bytes of the Keccak-256 of `mantaray:0.2`.
const VERSION: [u8; 31] = [
    0x57, 0x68, 0xb3, 0xb6, 0xa7, 0xdb, 0x56, 0xd2, 0x1d, 0x1a, 0xbf, 0xf4, 0x0d, 0x41, 0xce, 0xbf, 0xc8,
    0x34, 0x48, 0xfe, 0xd8, 0xd7, 0xe9, 0xb0, 0x6e, 0xc0, 0xd3, 0xb0, 0x73, 0xf2, 0x8f,
];

/// Bytes of a reference, of the index of a node's forks, and of the block that metadata are padded to.
const WORD: usize = 32;

/// Most bytes of a fork's prefix.
const PREFIX_BYTES: usize = 30;

/// The path under which the feed stands.
const PATH: u8 = b'/';

/// A fork that has a value (2) and metadata (16).
const VALUE_WITH_METADATA: u8 = 2 | 16;

/// A feed's manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedManifest {
    leaf: Chunk,
    root: Chunk,
}

impl FeedManifest {
    /// The manifest of the sequential feed that `owner` signs under `topic`.
    pub fn new(owner: Address, topic: [u8; 32]) -> Self {
        Self::of(owner, &topic)
    }

    fn of(owner: Address, topic: &[u8]) -> Self {
        let leaf = chunk(&[&header()[..], &[0; WORD]].concat());
        let metadata = padded(format!(
            r#"{{"swarm-feed-owner":"{}","swarm-feed-topic":"{}","swarm-feed-type":"Sequence"}}"#,
            hex::encode(owner.as_bytes()),
            hex::encode(topic)
        ));
        let mut index = [0; WORD];
        index[usize::from(PATH / 8)] = 1 << (PATH % 8);
        let mut prefix = [0; PREFIX_BYTES];
        prefix[0] = PATH;
        let length = u16::try_from(metadata.len()).expect("an owner and a topic are some hundred bytes");
        let root = [
            &header()[..],
            &index,
            &[VALUE_WITH_METADATA, 1],
            &prefix,
            leaf.address().as_bytes(),
            &length.to_be_bytes(),
            metadata.as_bytes(),
        ]
        .concat();
        Self { leaf, root: chunk(&root) }
    }

    /// The reference that stays the same.
    pub fn reference(&self) -> SwarmRef {
        self.root.address()
    }

    /// The reference as a URI, `bzz://…`.
    pub fn uri(&self) -> String {
        format!("bzz://{}", self.reference())
    }

    /// What has to be stored, each with one `POST /bytes`: all of it fits a chunk, and lies at the chunk's address.
    pub fn nodes(&self) -> [Bytes; 2] {
        [&self.leaf, &self.root].map(Chunk::payload)
    }
}

/// Obfuscation key (none), version, and an entry that is empty.
fn header() -> Vec<u8> {
    let (key, entry) = ([0; WORD], [0; WORD]);
    [&key[..], &VERSION, &[WORD as u8], &entry].concat()
}

/// Metadata with their two bytes of length fill whole words.
fn padded(mut json: String) -> String {
    let over = (json.len() + 2) % WORD;
    json.extend(std::iter::repeat_n('\n', WORD - over));
    json
}

fn chunk(payload: &[u8]) -> Chunk {
    Chunk::content(payload).expect("a node with one fork fits a chunk")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "0x8d3766440f0d7b949a5e32995d09619a7f86e632";

    #[test]
    fn it_is_the_manifest_that_a_bee_node_makes() {
        let owner = OWNER.parse().unwrap();
        let of_bee = FeedManifest::of(owner, &[0xaa, 0xbb, 0xcc]);
        // From the tests of Bee (pkg/api) and of bee-js (modules/feed).
        let published = "891a1d1c8436c792d02fc2e8883fef7ab387eaeaacd25aa9f518be7be7856d54";
        assert_eq!(of_bee.reference().to_string(), published);
        let leaf = "8504f2a107ca940beafc4ce2f6c9a9f0968c62a5b5893ff0e4e1e2983048d276";
        assert_eq!(of_bee.leaf.address().to_string(), leaf);
        let of_bee_js = "bzz://92442c3e08a308aeba8e2d231733ec57011a203354cad24129e7e0c37bac0cbe";
        assert_eq!(FeedManifest::new(owner, [0; 32]).uri(), of_bee_js);
    }

    #[test]
    fn what_is_stored_lies_where_the_reference_says() {
        let manifest = FeedManifest::new(OWNER.parse().unwrap(), [7; 32]);
        let [leaf, root] = manifest.nodes();
        assert_eq!(crate::chunk::root_reference(&root), manifest.reference());
        let at = crate::chunk::root_reference(&leaf);
        assert!(root.windows(WORD).any(|word| word == at.as_bytes()), "the root names its leaf");
    }
}
