//! The live network on Gnosis Chain: what the reference ships as its defaults (`docs/spec.md`, "Chain").

use t4t_types::Address;

use crate::contracts::ContractAddresses;

/// Gnosis Chain's id.
pub const CHAIN_ID: u64 = 100;

/// The public endpoint that is used if none is configured.
pub const DEFAULT_RPC: &str = "https://rpc.gnosischain.com";

/// The live contracts. They have no upgrade path, so these hold as long as the network does.
pub const CONTRACTS: ContractAddresses = ContractAddresses {
    // 0xf81121AAbc2F7261224BaDd0Ed871711e6D1371E
    registry: Address::new([
        0xf8, 0x11, 0x21, 0xaa, 0xbc, 0x2f, 0x72, 0x61, 0x22, 0x4b, 0xad, 0xd0, 0xed, 0x87, 0x17, 0x11, 0xe6,
        0xd1, 0x37, 0x1e,
    ]),
    // 0x34Db8E014E71928f17E23eC1272B602582222c9c
    escrow: Address::new([
        0x34, 0xdb, 0x8e, 0x01, 0x4e, 0x71, 0x92, 0x8f, 0x17, 0xe2, 0x3e, 0xc1, 0x27, 0x2b, 0x60, 0x25, 0x82,
        0x22, 0x2c, 0x9c,
    ]),
    // 0xdBF3Ea6F5beE45c02255B2c26a16F300502F68da: xBZZ, bridged from Ethereum, 16 decimals.
    token: Address::new([
        0xdb, 0xf3, 0xea, 0x6f, 0x5b, 0xee, 0x45, 0xc0, 0x22, 0x55, 0xb2, 0xc2, 0x6a, 0x16, 0xf3, 0x00, 0x50,
        0x2f, 0x68, 0xda,
    ]),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_the_published_ones() {
        assert_eq!(CONTRACTS.registry.to_string(), "0xf81121AAbc2F7261224BaDd0Ed871711e6D1371E");
        assert_eq!(CONTRACTS.escrow.to_string(), "0x34Db8E014E71928f17E23eC1272B602582222c9c");
        assert_eq!(CONTRACTS.token.to_string(), "0xdBF3Ea6F5beE45c02255B2c26a16F300502F68da");
    }
}
