//! A tree of chunks becomes the file again.

use t4t_types::SwarmRef;

use super::{Chunk, PAYLOAD_BYTES, SEGMENT_BYTES};

/// Deeper than any tree of 64-bit spans.
const MAX_DEPTH: usize = 10;

/// A tree that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// A chunk of the tree is not there.
    #[error("chunk {0} is missing")]
    Missing(SwarmRef),
    /// The file is longer than was asked for.
    #[error("the file is longer than {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: usize,
    },
    /// Stored with parity chunks, which are not understood here.
    #[error("chunk {0} was stored with redundancy")]
    Redundant(SwarmRef),
    /// Spans and references contradict each other.
    #[error("chunk {0} does not fit its tree")]
    Inconsistent(SwarmRef),
}

/// Reads the file at `root`, at most `limit` bytes of it; `get` finds a chunk by its address.
pub fn join(
    root: &SwarmRef,
    mut get: impl FnMut(&SwarmRef) -> Option<Chunk>,
    limit: usize,
) -> Result<Vec<u8>, JoinError> {
    let top = get(root).ok_or(JoinError::Missing(*root))?;
    let span = span_of(&top)?;
    if span > limit as u64 {
        return Err(JoinError::TooLarge { limit });
    }
    let mut file = Vec::new();
    // A stack in place of recursion: peers may send trees of any shape.
    let mut open = vec![(top, 0)];
    while let Some((chunk, depth)) = open.pop() {
        let span = span_of(&chunk)?;
        let payload = chunk.payload();
        if span <= PAYLOAD_BYTES as u64 {
            if payload.len() as u64 != span || file.len() + payload.len() > limit {
                return Err(JoinError::Inconsistent(chunk.address()));
            }
            file.extend_from_slice(&payload);
            continue;
        }
        let children = children_of(&chunk, span, depth, &mut get)?;
        open.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    if file.len() as u64 == span { Ok(file) } else { Err(JoinError::Inconsistent(*root)) }
}

fn span_of(chunk: &Chunk) -> Result<u64, JoinError> {
    let span = chunk.span();
    if span[7] & 0x80 != 0 {
        Err(JoinError::Redundant(chunk.address()))
    } else {
        Ok(u64::from_le_bytes(span))
    }
}

fn children_of(
    parent: &Chunk,
    span: u64,
    depth: usize,
    get: &mut impl FnMut(&SwarmRef) -> Option<Chunk>,
) -> Result<Vec<Chunk>, JoinError> {
    let inconsistent = || JoinError::Inconsistent(parent.address());
    let references = parent.payload();
    if depth >= MAX_DEPTH
        || references.len() < 2 * SEGMENT_BYTES
        || !references.len().is_multiple_of(SEGMENT_BYTES)
    {
        return Err(inconsistent());
    }
    let mut children = Vec::with_capacity(references.len() / SEGMENT_BYTES);
    let mut below = 0u64;
    for reference in references.chunks_exact(SEGMENT_BYTES) {
        let address = SwarmRef::new(reference.try_into().map_err(|_| inconsistent())?);
        let child = get(&address).ok_or(JoinError::Missing(address))?;
        below = below.checked_add(span_of(&child)?).ok_or_else(inconsistent)?;
        children.push(child);
    }
    if below == span { Ok(children) } else { Err(inconsistent()) }
}
