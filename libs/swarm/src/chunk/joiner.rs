//! A tree of chunks becomes the file again.

use t4t_types::SwarmRef;

use super::{Chunk, PAYLOAD_BYTES, Redundancy, SEGMENT_BYTES};

/// In a span's last byte: the rest of the byte is the redundancy level.
const LEVEL_MARK: u8 = 0x80;

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
    /// Stored at a redundancy level that does not exist.
    #[error("chunk {0} was stored at an unknown redundancy level")]
    UnknownLevel(SwarmRef),
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
    let (span, _) = span_of(&top)?;
    if span > limit as u64 {
        return Err(JoinError::TooLarge { limit });
    }
    let mut file = Vec::new();
    // A stack in place of recursion: peers may send trees of any shape.
    let mut open = vec![(top, 0)];
    while let Some((chunk, depth)) = open.pop() {
        let (span, level) = span_of(&chunk)?;
        let payload = chunk.payload();
        if span <= PAYLOAD_BYTES as u64 {
            if payload.len() as u64 != span || file.len() + payload.len() > limit {
                return Err(JoinError::Inconsistent(chunk.address()));
            }
            file.extend_from_slice(&payload);
            continue;
        }
        let children = children_of(&chunk, (span, level), depth, &mut get)?;
        open.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    if file.len() as u64 == span { Ok(file) } else { Err(JoinError::Inconsistent(*root)) }
}

/// How many bytes lie below a chunk, and at which level it was stored: the span's last byte tells, if its first bit is set.
fn span_of(chunk: &Chunk) -> Result<(u64, Redundancy), JoinError> {
    let mut span = chunk.span();
    if span[7] & LEVEL_MARK == 0 {
        return Ok((u64::from_le_bytes(span), Redundancy::None));
    }
    let level =
        Redundancy::of_level(span[7] & !LEVEL_MARK).ok_or(JoinError::UnknownLevel(chunk.address()))?;
    span[7] = 0;
    Ok((u64::from_le_bytes(span), level))
}

/// How many of a parent's references lead to data: those to parity chunks come after them.
fn data_references(span: u64, level: Redundancy) -> usize {
    let branches = level.most_data() as u64;
    let mut below = PAYLOAD_BYTES as u64;
    while span.div_ceil(below) > branches {
        below = below.saturating_mul(branches);
    }
    usize::try_from(span.div_ceil(below)).unwrap_or(usize::MAX)
}

fn children_of(
    parent: &Chunk,
    (span, level): (u64, Redundancy),
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
    let count = references.len() / SEGMENT_BYTES;
    let data = if level == Redundancy::None { count } else { data_references(span, level) };
    if data + level.parities(data) != count {
        return Err(inconsistent());
    }
    let mut children = Vec::with_capacity(data);
    let mut below = 0u64;
    for reference in references.chunks_exact(SEGMENT_BYTES).take(data) {
        let address = SwarmRef::new(reference.try_into().map_err(|_| inconsistent())?);
        let child = get(&address).ok_or(JoinError::Missing(address))?;
        below = below.checked_add(span_of(&child)?.0).ok_or_else(inconsistent)?;
        children.push(child);
    }
    if below == span { Ok(children) } else { Err(inconsistent()) }
}
