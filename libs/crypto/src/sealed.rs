//! What a sealed payload consists of.

/// Bytes of the compressed point that it begins with.
pub(crate) const POINT_BYTES: usize = 33;

/// Bytes of the initialisation vector.
pub(crate) const IV_BYTES: usize = 12;

/// Bytes of the tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes that sealing adds to a payload.
pub const SEALING_OVERHEAD: usize = POINT_BYTES + IV_BYTES + TAG_BYTES;
