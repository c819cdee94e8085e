//! Mining: trying nonces until a chunk's address begins as the recipient's does.
//!
//! Only the chunk's first segment changes, so one try is the way from there to the root: eight hashes.

use t4t_types::{Overlay, SwarmRef};

use super::{TROJAN_BYTES, Wrapped};
use crate::chunk::{address_of, sibling_path};
use crate::keccak::keccak_pair;

/// How a chunk's address shall begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The wanted bits, left-aligned; the rest is zero.
    prefix: u32,
    mask: u32,
}

/// A target that can't be mined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More bits than mining can reach in seconds.
    #[error("a target has at most 24 bits, got {0}")]
    TooDeep(u32),
    /// Mining for nobody.
    #[error("no target was named")]
    None,
}

impl Target {
    /// The deepest target: three bytes, as nodes have it. Sixteen bits take 0.2 s, each further bit doubles that.
    pub const MAX_BITS: u32 = 24;

    /// The first `bits` bits of `overlay`.
    pub fn of(overlay: &Overlay, bits: u8) -> Result<Self, TargetError> {
        let [a, b, c, d, ..] = *overlay.as_bytes();
        Self::new(u32::from_be_bytes([a, b, c, d]), bits.into())
    }

    /// Whole bytes, as the API's path has them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TargetError> {
        let mut prefix = [0; 4];
        let bits = bytes.len() as u32 * 8;
        if bytes.is_empty() {
            return Err(TargetError::None);
        }
        prefix.get_mut(..bytes.len()).ok_or(TargetError::TooDeep(bits))?.copy_from_slice(bytes);
        Self::new(u32::from_be_bytes(prefix), bits)
    }

    fn new(prefix: u32, bits: u32) -> Result<Self, TargetError> {
        if bits > Self::MAX_BITS {
            return Err(TargetError::TooDeep(bits));
        }
        let mask = !u32::MAX.checked_shr(bits).unwrap_or(0);
        Ok(Self { prefix: prefix & mask, mask })
    }

    /// Whether `address` lies in the target.
    pub fn contains(&self, address: &SwarmRef) -> bool {
        let [a, b, c, d, ..] = *address.as_bytes();
        u32::from_be_bytes([a, b, c, d]) & self.mask == self.prefix
    }
}

/// A chunk that was mined.
#[derive(Clone, Debug)]
pub struct Mined {
    /// `hint ‖ nonce ‖ ephemeral X ‖ ciphertext`.
    pub data: Vec<u8>,
    /// Where the chunk lies.
    pub address: SwarmRef,
    /// How many nonces were tried.
    pub tries: u64,
}

impl Wrapped {
    /// Tries nonces until the address lies in one of `targets`: 2^bits tries on average, 3 µs each.
    ///
    /// Blocks for that long; asynchronous code runs it on a blocking thread.
    pub fn mine(mut self, targets: &[Target]) -> Result<Mined, TargetError> {
        if targets.is_empty() {
            return Err(TargetError::None);
        }
        let path = sibling_path(&self.payload);
        let mut nonce: [u8; 32] = *self.payload.first_chunk().expect("a payload begins with the nonce");
        for tries in 1.. {
            let root = path.iter().fold(nonce, |node, sibling| keccak_pair(&node, sibling));
            let address = address_of(&self.hint, &root);
            if targets.iter().any(|target| target.contains(&address)) {
                self.payload[..32].copy_from_slice(&nonce);
                return Ok(Mined { data: self.into_bytes(), address, tries });
            }
            // The nonce began at random; counting on in its first bytes leaves byte 28 and its parity alone.
            let (counter, _) = nonce.split_first_chunk_mut::<8>().expect("a nonce has 32 bytes");
            *counter = u64::from_le_bytes(*counter).wrapping_add(1).to_le_bytes();
        }
        unreachable!("2^64 tries do not end")
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut data = Vec::with_capacity(TROJAN_BYTES);
        data.extend_from_slice(&self.hint);
        data.extend_from_slice(&self.payload[..]);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_the_first_bits_of_an_overlay() {
        let mut overlay = [0; 32];
        overlay[..2].copy_from_slice(&[0xab, 0xcd]);
        let target = Target::of(&Overlay::new(overlay), 12).unwrap();
        overlay[1] = 0xc0;
        assert!(target.contains(&SwarmRef::new(overlay)));
        overlay[1] = 0xd0;
        assert!(!target.contains(&SwarmRef::new(overlay)));
        assert_eq!(
            Target::from_bytes(&[0xab, 0xcd]),
            Target::of(&Overlay::new([0xab; 32]), 8).and(Target::new(0xabcd_0000, 16))
        );
    }

    #[test]
    fn no_bits_contain_everything_and_too_many_are_refused() {
        let everywhere = Target::of(&Overlay::ZERO, 0).unwrap();
        assert!(everywhere.contains(&SwarmRef::new([0xff; 32])));
        assert_eq!(Target::of(&Overlay::ZERO, 25), Err(TargetError::TooDeep(25)));
        assert_eq!(Target::from_bytes(&[0; 5]), Err(TargetError::TooDeep(40)));
        assert_eq!(Target::from_bytes(&[]), Err(TargetError::None));
    }
}
