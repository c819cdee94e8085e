//! Postage stamps: the proof, 113 bytes long, that a chunk's place in a batch was paid for.

use t4t_crypto::WalletKey;
use t4t_types::{Address, BatchId, SwarmRef, keccak256};

use crate::signature::{self, SIGNATURE_BYTES};

/// Leading bits of a chunk's address that choose its bucket; fixed on the network.
pub const BUCKET_DEPTH: u8 = 16;
/// Bytes of a stamp: batch, index, time, signature.
pub const STAMP_BYTES: usize = 32 + 8 + 8 + SIGNATURE_BYTES;

/// The bucket that a chunk at `address` falls into, in every batch.
pub fn bucket(address: &SwarmRef) -> u16 {
    let bytes = address.as_bytes();
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Stamps that one bucket of a batch of this depth holds.
pub fn bucket_capacity(depth: u8) -> u32 {
    1u32.checked_shl(depth.saturating_sub(BUCKET_DEPTH).into()).unwrap_or(u32::MAX)
}

/// A place in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StampIndex {
    /// Which bucket.
    pub bucket: u32,
    /// Which stamp in the bucket, from 0.
    pub position: u32,
}

impl StampIndex {
    /// Eight big-endian bytes, as the stamp carries them.
    pub fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.bucket.to_be_bytes());
        bytes[4..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let number = u64::from_be_bytes(bytes);
        Self { bucket: (number >> 32) as u32, position: number as u32 }
    }
}

/// A stamp; the signature is only checked by [`Self::signer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The batch that pays.
    pub batch: BatchId,
    /// The place in it.
    pub index: StampIndex,
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// The batch owner's signature.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Stamp {
    /// Stamps the chunk at `address`.
    pub fn sign(
        address: &SwarmRef,
        batch: BatchId,
        index: StampIndex,
        timestamp: u64,
        key: &WalletKey,
    ) -> Self {
        let signature = signature::sign(key, &digest(address, &batch, index, timestamp));
        Self { batch, index, timestamp, signature }
    }

    /// Who stamped the chunk at `address`; `None` if nobody can have.
    pub fn signer(&self, address: &SwarmRef) -> Option<Address> {
        signature::recover(&self.signature, &digest(address, &self.batch, self.index, self.timestamp))
    }

    /// The network's form.
    pub fn to_bytes(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..32].copy_from_slice(self.batch.as_bytes());
        bytes[32..40].copy_from_slice(&self.index.to_bytes());
        bytes[40..48].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[48..].copy_from_slice(&self.signature);
        bytes
    }

    /// Reads the network's form.
    pub fn from_bytes(bytes: &[u8; STAMP_BYTES]) -> Self {
        let (batch, rest) = bytes.split_first_chunk::<32>().expect("a stamp has 113 bytes");
        let (index, rest) = rest.split_first_chunk::<8>().expect("a stamp has 113 bytes");
        let (timestamp, signature) = rest.split_first_chunk::<8>().expect("a stamp has 113 bytes");
        Self {
            batch: BatchId::new(*batch),
            index: StampIndex::from_bytes(*index),
            timestamp: u64::from_be_bytes(*timestamp),
            signature: signature.try_into().expect("a stamp has 113 bytes"),
        }
    }
}

fn digest(address: &SwarmRef, batch: &BatchId, index: StampIndex, timestamp: u64) -> [u8; 32] {
    let parts = [&address.as_bytes()[..], batch.as_bytes(), &index.to_bytes(), &timestamp.to_be_bytes()];
    keccak256(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "b81dcb6350c980d80602e37c8d42ca7cf1ca93e85240bac7879cf7cecaeca9c6";
    const OWNER: &str = "0xff6316419def87e4ea768e09a04dd56ebb40cb4e";
    const CASES: [(&str, &str); 2] = [
        (
            "2ffafb919bceaf3391380de98c01f42630d0a9d7bd51234004f59a332603278f",
            "8de674cb4e16158c83ae031841772c3f9ec44224e0bcfdb48b257e3a00f933cc00002ffa0000000317deaae315ac0000\
             1bfa0916ea6be390c0cc359ab867dfd53e5391d27989a44cf72ebdff2574925f\
             162beb8a12c7185f240e3851666bfa1546b9d7f1227457e58f8703ec23df84f11c",
        ),
        (
            "3c36cf54dcc765eb5d487f3505e73fa03f76d6bdd1a0d30de8121d1b2c82ad17",
            "8de674cb4e16158c83ae031841772c3f9ec44224e0bcfdb48b257e3a00f933cc00003c360000000417deaae315ac0001\
             56e45bbe768aa784e92abcba997558507ca9928fbb535572d00e338afdfa9580\
             6a9cbe0be1b0316a01979d283ad396ed81b5ea91d65acbf934b6a54c81945b631b",
        ),
    ];

    #[test]
    fn the_published_stamps_hold() {
        for (address, stamp) in CASES {
            let address: SwarmRef = address.parse().unwrap();
            let published = Stamp::from_bytes(&hex::decode(stamp).unwrap().try_into().unwrap());
            assert_eq!(published.signer(&address), Some(OWNER.parse().unwrap()));
            assert_eq!(published.index.bucket, u32::from(bucket(&address)));
            let key = WalletKey::from_bytes(&hex::decode(KEY).unwrap().try_into().unwrap()).unwrap();
            let ours = Stamp::sign(&address, published.batch, published.index, published.timestamp, &key);
            assert_eq!(hex::encode(ours.to_bytes()), stamp);
        }
    }

    #[test]
    fn a_bucket_holds_two_to_the_depth_minus_sixteen() {
        assert_eq!([16, 17, 20, 24].map(bucket_capacity), [1, 2, 16, 256]);
    }
}
