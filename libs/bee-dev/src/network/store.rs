//! The chunks of all nodes, bounded: the oldest go first.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use t4t_swarm::chunk::Chunk;
use t4t_swarm::soc::Soc;
use t4t_types::{SwarmRef, keccak256};

/// What lies at an address.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Chunk(Chunk),
    Soc(Box<Soc>),
}

#[derive(Debug)]
pub(crate) struct Store {
    chunks: HashMap<SwarmRef, Stored>,
    oldest_first: VecDeque<SwarmRef>,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Stored {
    content: Content,
    origin: usize,
    /// Until then only the node that has it can see it.
    hidden_until: u64,
}

impl Content {
    pub(crate) fn address(&self) -> SwarmRef {
        match self {
            Self::Chunk(chunk) => chunk.address(),
            Self::Soc(soc) => soc.address(),
        }
    }

    /// What is stamped: a second stamp for the same takes no second slot.
    pub(crate) fn identity(&self) -> SwarmRef {
        match self {
            Self::Chunk(chunk) => chunk.address(),
            Self::Soc(soc) => {
                let both = [*soc.address().as_bytes(), *soc.wrapped().address().as_bytes()].concat();
                SwarmRef::new(keccak256(both))
            }
        }
    }

    /// The bytes as the network carries them.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Chunk(chunk) => chunk.data().clone(),
            Self::Soc(soc) => soc.to_bytes(),
        }
    }

    /// The chunk, or the chunk inside.
    pub(crate) fn chunk(&self) -> &Chunk {
        match self {
            Self::Chunk(chunk) => chunk,
            Self::Soc(soc) => soc.wrapped(),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.chunk().data().len()
    }
}

impl Store {
    pub(crate) fn new(limit: usize) -> Self {
        Self { chunks: HashMap::new(), oldest_first: VecDeque::new(), bytes: 0, limit }
    }

    pub(crate) fn put(&mut self, content: Content, origin: usize, hidden_until: u64) {
        let (address, size) = (content.address(), content.size());
        let known = self.chunks.get(&address);
        // What everyone could see stays visible.
        let hidden_until = known.map_or(hidden_until, |known| known.hidden_until.min(hidden_until));
        match self.chunks.insert(address, Stored { content, origin, hidden_until }) {
            Some(replaced) => self.bytes -= replaced.content.size(),
            None => self.oldest_first.push_back(address),
        }
        self.bytes += size;
        while self.bytes > self.limit {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            self.bytes -= self.chunks.remove(&oldest).map_or(0, |stored| stored.content.size());
        }
    }

    pub(crate) fn get(&self, address: &SwarmRef, node: usize, now: u64) -> Option<Content> {
        let stored = self.chunks.get(address)?;
        (stored.origin == node || now >= stored.hidden_until).then(|| stored.content.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(byte: u8) -> Content {
        Content::Chunk(Chunk::content(&[byte; 1000]).unwrap())
    }

    #[test]
    fn a_full_store_forgets_the_oldest() {
        let mut store = Store::new(3 * 1008);
        for byte in 0..4 {
            store.put(chunk(byte), 0, 0);
        }
        assert!(store.get(&chunk(0).address(), 0, 0).is_none());
        assert!(store.get(&chunk(3).address(), 0, 0).is_some());
        assert_eq!(store.bytes, 3 * 1008);
    }

    #[test]
    fn a_deferred_chunk_is_seen_at_home_first() {
        let mut store = Store::new(1 << 20);
        store.put(chunk(1), 0, 500);
        let seen = |store: &Store, node, now| store.get(&chunk(1).address(), node, now).is_some();
        assert_eq!([seen(&store, 0, 0), seen(&store, 1, 499), seen(&store, 1, 500)], [true, false, true]);
        store.put(chunk(1), 1, 0);
        assert!(seen(&store, 1, 0));
    }
}
