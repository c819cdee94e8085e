//! Transactions: fees, building, signing into raw bytes.

use ethers_core::types::transaction::eip2718::TypedTransaction;
use ethers_core::types::{Eip1559TransactionRequest, Signature, U256};
use serde::{Deserialize, Serialize};
use t4t_crypto::WalletKey;
use t4t_types::{Address, TxHash, keccak256};

/// What a transaction pays for a unit of gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// Most that it pays altogether.
    pub max_fee: u128,
    /// Most that the block's maker gets of it.
    pub max_priority: u128,
}

impl Fees {
    /// Fees that hold while the base fee doubles, which takes at least six full blocks.
    pub const fn suggested(base_fee: u128, tip: u128) -> Self {
        Self { max_fee: base_fee.saturating_mul(2).saturating_add(tip), max_priority: tip }
    }

    /// Fees that replace a waiting transaction with these: both fields an eighth higher, at least by one wei. Nodes
    /// ask for a tenth.
    pub const fn bumped(self) -> Self {
        let max_fee = raised(self.max_fee);
        let max_priority = raised(self.max_priority);
        Self { max_fee, max_priority: if max_priority > max_fee { max_fee } else { max_priority } }
    }

    /// The higher of both in each field.
    pub fn at_least(self, other: Self) -> Self {
        let max_priority = self.max_priority.max(other.max_priority);
        Self { max_fee: self.max_fee.max(other.max_fee).max(max_priority), max_priority }
    }

    /// Most wei that `gas` units cost; stops at the largest amount.
    pub const fn most_for(self, gas: u64) -> u128 {
        self.max_fee.saturating_mul(gas as u128)
    }
}

const fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRequest {
    /// The chain it is for; no other takes it.
    pub chain_id: u64,
    /// Its place in the wallet's sequence.
    pub nonce: u64,
    /// Whom it goes to; `None` creates a contract.
    pub to: Option<Address>,
    /// ABI-encoded call, or the contract's code.
    pub data: Vec<u8>,
    /// Wei of the chain's own coin that go along.
    pub value: u128,
    /// Most gas that it may take.
    pub gas_limit: u64,
    /// What it pays for gas.
    pub fees: Fees,
}

/// A signed transaction: to be stored before it is sent, and sent again as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTransaction {
    /// Its id on the chain.
    pub hash: TxHash,
    /// The bytes that a node takes.
    pub bytes: Vec<u8>,
}

impl RawTransaction {
    /// The transaction in stored bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { hash: TxHash::new(keccak256(&bytes)), bytes }
    }
}

impl TransactionRequest {
    /// Signs as EIP-1559 says. The same request and key give the same bytes.
    pub fn sign(&self, key: &WalletKey) -> RawTransaction {
        let unsigned = TypedTransaction::Eip1559(self.to_eip1559());
        let signature = key.sign_digest(&unsigned.sighash().0);
        let signature = Signature {
            r: U256::from_big_endian(signature.r()),
            s: U256::from_big_endian(signature.s()),
            v: u64::from(signature.recovery_id()),
        };
        RawTransaction::from_bytes(unsigned.rlp_signed(&signature).to_vec())
    }

    fn to_eip1559(&self) -> Eip1559TransactionRequest {
        let request = Eip1559TransactionRequest::new()
            .chain_id(self.chain_id)
            .nonce(self.nonce)
            .data(self.data.clone())
            .value(self.value)
            .gas(self.gas_limit)
            .max_fee_per_gas(self.fees.max_fee)
            .max_priority_fee_per_gas(self.fees.max_priority);
        match self.to {
            Some(to) => request.to(ethers_core::types::Address::from(*to.as_bytes())),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> WalletKey {
        WalletKey::from_bytes(&[0x46; 32]).unwrap()
    }

    fn request() -> TransactionRequest {
        TransactionRequest {
            chain_id: 100,
            nonce: 7,
            to: Some("0x34Db8E014E71928f17E23eC1272B602582222c9c".parse().unwrap()),
            data: crate::contracts::Escrow { address: Address::ZERO }.ack_job([0x22; 32].into()).data,
            value: 0,
            gas_limit: 300_000,
            fees: Fees { max_fee: 3_000_000_000, max_priority: 1_000_000_000 },
        }
    }

    #[test]
    fn a_signed_transaction_has_the_bytes_that_another_wallet_makes() {
        let expected = "02f88f6407843b9aca0084b2d05e00830493e09434db8e014e71928f17e23ec1272b602582222c9c80a442f1b598\
            2222222222222222222222222222222222222222222222222222222222222222c080a008398e9bdb6e80986f02cbb8e3ba95b5d97a\
            0c334140838057a5bc390770eb40a02f4dffa3bf49c129696cc059d53ec57e7fb6c14e95c22237807785982f866338";
        let raw = request().sign(&key());
        assert_eq!(hex::encode(&raw.bytes), expected);
        assert_eq!(raw, request().sign(&key()));
        assert_eq!(RawTransaction::from_bytes(raw.bytes.clone()), raw);
    }

    #[test]
    fn a_transaction_without_a_receiver_creates_a_contract() {
        let expected = "02f8596480843b9aca0084b2d05e00830493e08080826000c080a0ea26b18b0f318258f6e37271a4940324974352f037\
            640eb94697845c99a0f690a05ff7db9bf7dc32182186dd0f3b212ce34c9d03e963fd796d9a8444f9ce3bed3a";
        let raw = TransactionRequest { nonce: 0, to: None, data: vec![0x60, 0], ..request() }.sign(&key());
        assert_eq!(hex::encode(raw.bytes), expected);
    }

    proptest! {
        #[test]
        fn a_bump_is_enough_for_every_node(max_fee: u64, tip: u64) {
            let old = Fees { max_fee: u128::from(max_fee), max_priority: u128::from(tip.min(max_fee)) };
            let new = old.bumped();
            prop_assert!(8 * new.max_fee >= 9 * old.max_fee && new.max_fee > old.max_fee);
            prop_assert!(8 * new.max_priority >= 9 * old.max_priority && new.max_priority > old.max_priority);
            prop_assert!(new.max_priority <= new.max_fee);
        }

        #[test]
        fn fees_of_any_size_do_not_overflow(max_fee: u128, max_priority: u128, gas: u64) {
            let fees = Fees { max_fee, max_priority };
            let _ = fees.bumped().most_for(gas);
            prop_assert!(fees.at_least(Fees::suggested(max_fee, max_priority)).max_fee >= max_fee);
        }
    }
}
