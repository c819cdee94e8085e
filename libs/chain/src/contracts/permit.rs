//! Allowances by signature: the token's two permits. Whoever holds one may use it, for the allowance only.

use ethers_core::abi::Token as AbiToken;
use ethers_core::types::U256;
use serde::{Deserialize, Serialize};
use t4t_crypto::{Signature, WalletKey};
use t4t_types::{Address, UnixSeconds, Xbzz, keccak256};

use crate::abi::{address_token, bytes32_token, uint_token};

/// A signed permit, as the payment channels take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Permit {
    /// None: there is an allowance.
    None,
    /// EIP-2612's, for an amount.
    Eip2612 {
        /// The allowance.
        value: Xbzz,
        /// Until when it may be used, by the chain's clock.
        deadline: UnixSeconds,
        /// The owner's.
        signature: Signature,
    },
    /// DAI's, for any amount: what xBZZ's first image has.
    Dai {
        /// The owner's next nonce at the token.
        nonce: u64,
        /// Until when it may be used and the allowance holds, by the chain's clock; zero for ever.
        expiry: UnixSeconds,
        /// The owner's.
        signature: Signature,
    },
}

/// What a permit of EIP-2612 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitTerms {
    /// Who may take the owner's tokens.
    pub spender: Address,
    /// How much.
    pub value: Xbzz,
    /// The owner's next nonce at the token.
    pub nonce: u64,
    /// Until when it may be used, by the chain's clock.
    pub deadline: UnixSeconds,
}

impl PermitTerms {
    /// Signs it under the token's domain, which [`super::Token::domain_separator`] reads from the chain.
    pub fn sign(&self, token_domain: &[u8; 32], owner: &WalletKey) -> Permit {
        let kind = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
        let struct_hash = keccak256(ethers_core::abi::encode(&[
            bytes32_token(&keccak256(kind)),
            address_token(owner.address()),
            address_token(self.spender),
            uint_token(self.value.plur()),
            uint_token(self.nonce),
            uint_token(self.deadline.get()),
        ]));
        let signature = owner.sign_typed(token_domain, &struct_hash);
        Permit::Eip2612 { value: self.value, deadline: self.deadline, signature }
    }

    /// Signs the same as DAI's permit: for any amount, until the deadline.
    pub fn sign_as_dai(&self, token_domain: &[u8; 32], owner: &WalletKey) -> Permit {
        let kind = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
        let struct_hash = keccak256(ethers_core::abi::encode(&[
            bytes32_token(&keccak256(kind)),
            address_token(owner.address()),
            address_token(self.spender),
            uint_token(self.nonce),
            uint_token(self.deadline.get()),
            AbiToken::Bool(true),
        ]));
        let signature = owner.sign_typed(token_domain, &struct_hash);
        Permit::Dai { nonce: self.nonce, expiry: self.deadline, signature }
    }
}

impl Permit {
    /// The struct of the channels' interface.
    pub(super) fn token(&self) -> AbiToken {
        let (kind, value, deadline, signature) = match *self {
            Self::None => (0_u64, U256::zero(), U256::zero(), None),
            Self::Eip2612 { value, deadline, signature } => {
                (1, value.plur().into(), deadline.get().into(), Some(signature))
            }
            Self::Dai { nonce, expiry, signature } => (2, nonce.into(), expiry.get().into(), Some(signature)),
        };
        let bytes = signature.map_or([0; Signature::BYTES], |signature| signature.to_bytes());
        AbiToken::Tuple(vec![
            uint_token(kind),
            AbiToken::Uint(value),
            AbiToken::Uint(deadline),
            uint_token(bytes[64]),
            AbiToken::FixedBytes(bytes[..32].to_vec()),
            AbiToken::FixedBytes(bytes[32..64].to_vec()),
        ])
    }
}
