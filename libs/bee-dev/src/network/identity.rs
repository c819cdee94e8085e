//! Keys and overlays of the nodes.

use secp256k1::{PublicKey, SecretKey};
use t4t_crypto::WalletKey;
use t4t_swarm::{PssPublicKey, PssSecretKey};
use t4t_types::{Address, Overlay, keccak256};

use super::derive;

/// Gnosis mainnet's Swarm.
const NETWORK_ID: u64 = 1;

/// Who a node is. The keys are for development only and guard nothing.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) overlay: Overlay,
    pub(crate) ethereum: Address,
    pub(crate) public_key: PublicKey,
    pub(crate) pss_public_key: PssPublicKey,
    pub(crate) pss_key: PssSecretKey,
    pub(crate) signing_key: WalletKey,
}

/// Identities whose overlays lie evenly apart, so that no two nodes share a neighbourhood.
pub(crate) fn spread(nodes: usize, seed: u64) -> Vec<Identity> {
    let identity = |index: usize| {
        let first_byte = (index * 256 / nodes) as u8;
        Identity::new(seed, index as u64, first_byte)
    };
    (0..nodes).map(identity).collect()
}

impl Identity {
    fn new(seed: u64, index: u64, first_byte: u8) -> Self {
        let secret = key(seed, "bee", index);
        let public_key = secret.public_key();
        let signing_key = WalletKey::from_bytes(&secret.to_secret_bytes()).expect("it was a key already");
        let ethereum = signing_key.address();
        let pss_secret = key(seed, "pss", index).to_secret_bytes();
        let pss_key = PssSecretKey::from_bytes(pss_secret).expect("it was a key already");
        // A node draws the nonce of its overlay once, at its first start.
        let overlay = (0u64..)
            .map(|nonce| overlay_of(&ethereum, nonce))
            .find(|overlay| overlay.as_bytes()[0] == first_byte)
            .expect("one overlay in 256 fits");
        Self { overlay, ethereum, public_key, pss_public_key: pss_key.public_key(), pss_key, signing_key }
    }
}

fn key(seed: u64, what: &str, index: u64) -> SecretKey {
    let mut bytes = derive(seed, what, index);
    loop {
        match SecretKey::from_secret_bytes(bytes) {
            Ok(key) => return key,
            Err(_) => bytes = keccak256(bytes),
        }
    }
}

fn overlay_of(ethereum: &Address, nonce: u64) -> Overlay {
    let mut nonce32 = [0; 32];
    nonce32[24..].copy_from_slice(&nonce.to_be_bytes());
    Overlay::new(keccak256([&ethereum.as_bytes()[..], &NETWORK_ID.to_le_bytes(), &nonce32].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_nodes_far_apart() {
        let overlays = |seed| spread(4, seed).iter().map(|identity| identity.overlay).collect::<Vec<_>>();
        assert_eq!(overlays(1), overlays(1));
        assert_ne!(overlays(1), overlays(2));
        let first_bytes: Vec<u8> = overlays(1).iter().map(|overlay| overlay.as_bytes()[0]).collect();
        assert_eq!(first_bytes, [0, 64, 128, 192]);
    }
}
