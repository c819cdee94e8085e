//! The one hash of the house.

use tiny_keccak::{Hasher, Keccak};

/// Hashes with Keccak-256, as Ethereum and Swarm do.
pub fn keccak256(input: impl AsRef<[u8]>) -> [u8; 32] {
    let mut keccak = Keccak::v256();
    let mut digest = [0; 32];
    keccak.update(input.as_ref());
    keccak.finalize(&mut digest);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_input_has_the_known_hash() {
        assert_eq!(
            hex::encode(keccak256([])),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }
}
