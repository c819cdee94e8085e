//! Content-addressed chunks, and files as trees of them.

mod bmt;
mod joiner;
mod redundancy;
mod splitter;

use bytes::Bytes;
use t4t_types::SwarmRef;

pub use bmt::bmt_root;
pub(crate) use bmt::sibling_path;
pub use joiner::{JoinError, join};
pub use redundancy::Redundancy;
pub use splitter::{root_reference, split};

use crate::keccak::keccak_span;

/// Bytes of one segment, the unit that is hashed.
pub const SEGMENT_BYTES: usize = 32;
/// Most bytes of a chunk's payload.
pub const PAYLOAD_BYTES: usize = 4096;
/// Bytes of a chunk's span.
pub const SPAN_BYTES: usize = 8;

/// A content-addressed chunk: a span of 8 bytes and a payload of at most 4096.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    address: SwarmRef,
    data: Bytes,
}

/// Bytes that are not a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// More payload than a chunk holds.
    #[error("a chunk holds {PAYLOAD_BYTES} bytes, got {0}")]
    TooLong(usize),
    /// Not even a span.
    #[error("a chunk begins with {SPAN_BYTES} bytes of span, got {0} bytes")]
    TooShort(usize),
}

impl Chunk {
    /// The chunk that holds `payload`; its span is the payload's length.
    pub fn content(payload: &[u8]) -> Result<Self, ChunkError> {
        Self::with_span((payload.len() as u64).to_le_bytes(), payload)
    }

    /// The chunk with this span and payload.
    pub fn with_span(span: [u8; SPAN_BYTES], payload: &[u8]) -> Result<Self, ChunkError> {
        Self::parse(Bytes::from([&span, payload].concat()))
    }

    /// Reads `span ‖ payload` and computes the address.
    pub fn parse(data: Bytes) -> Result<Self, ChunkError> {
        let Some((span, payload)) = data.split_first_chunk::<SPAN_BYTES>() else {
            return Err(ChunkError::TooShort(data.len()));
        };
        if payload.len() > PAYLOAD_BYTES {
            return Err(ChunkError::TooLong(payload.len()));
        }
        let address = address_of(span, &bmt_root(payload));
        Ok(Self { address, data })
    }

    /// Where the chunk lies.
    pub fn address(&self) -> SwarmRef {
        self.address
    }

    /// `span ‖ payload`.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The span: for a file's chunk, how many bytes of the file lie below it (little-endian).
    pub fn span(&self) -> [u8; SPAN_BYTES] {
        self.data.first_chunk().copied().expect("every constructor checks that a span is there")
    }

    /// What follows the span.
    pub fn payload(&self) -> Bytes {
        self.data.slice(SPAN_BYTES..)
    }
}

/// The address of a chunk with this span whose payload has this Merkle root.
pub(crate) fn address_of(span: &[u8; SPAN_BYTES], root: &[u8; 32]) -> SwarmRef {
    SwarmRef::new(keccak_span(span, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(payload: &[u8]) -> String {
        Chunk::content(payload).unwrap().address().to_string()
    }

    #[test]
    fn the_published_addresses_hold() {
        assert_eq!(address(b"foo"), "2387e8e7d8a48c2a9339c97c1dc3461a9a7aa07e994c5cb8b38fd7c1b3e6ea48");
        assert_eq!(address(b""), "b34ca8c22b9e982354f9c7f50b470d66db428d880c8a904d5fe4ec9713171526");
        assert_eq!(address(&[0x83]), "3c58baf790b98abe06254d1458db00b642f711de230cb390cd22ad67c7a482ff");
        let of_31 = hex::decode("6f31aa61f76bafcb4c816d5fe32788c264103b30c0fb8d29523a936175c0be").unwrap();
        assert_eq!(address(&of_31), "66764f9b0b4677469bbacd704c924005cbec9b16b652bba98378197e18924e63");
        let of_33 =
            hex::decode("ba736cca5cb209212984556e58e3432b694edcd3ec2ea99b9815bdacb5db2129d1").unwrap();
        assert_eq!(address(&of_33), "258a9f3a7ff1cd5cf230b6ccc77b8d5ee17578e474ea9ec50950199e90814c76");
    }

    #[test]
    fn bytes_that_are_no_chunk_are_refused() {
        assert_eq!(Chunk::parse(Bytes::from_static(&[0; 7])), Err(ChunkError::TooShort(7)));
        assert_eq!(Chunk::parse(Bytes::from(vec![0; 8 + 4097])), Err(ChunkError::TooLong(4097)));
    }
}
