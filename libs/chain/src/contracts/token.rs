//! The token's calls.

use ethers_core::abi::Token as AbiToken;
use ethers_core::types::U256;
use t4t_types::{Address, Xbzz};

use crate::abi::{Interface, address_token, uint_token};
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;

/// xBZZ, or a token that behaves like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where it is.
    pub address: Address,
}

impl Token {
    fn call(&self, function: &str, arguments: &[AbiToken]) -> Call {
        Call { to: self.address, data: Interface::Extensions.encode(function, arguments) }
    }

    /// Lets `spender` take `amount` altogether.
    pub fn approve(&self, spender: Address, amount: Xbzz) -> Call {
        self.call("approve", &[address_token(spender), uint_token(amount.plur())])
    }

    /// Lets `spender` take any amount; such an allowance is not used up.
    pub fn approve_all(&self, spender: Address) -> Call {
        self.call("approve", &[address_token(spender), AbiToken::Uint(U256::MAX)])
    }

    /// Sends `amount` to an address.
    pub fn transfer(&self, to: Address, amount: Xbzz) -> Call {
        self.call("transfer", &[address_token(to), uint_token(amount.plur())])
    }

    /// Sends `amount` to a contract and tells it so (ERC-677).
    pub fn transfer_and_call(&self, to: Address, amount: Xbzz, data: &[u8]) -> Call {
        let arguments = [address_token(to), uint_token(amount.plur()), AbiToken::Bytes(data.to_vec())];
        self.call("transferAndCall", &arguments)
    }

    /// Makes tokens out of nothing: the owner of the development chain's token may.
    pub fn mint(&self, to: Address, amount: Xbzz) -> Call {
        self.call("mint", &[address_token(to), uint_token(amount.plur())])
    }

    /// What an address holds; stops at the largest amount.
    pub async fn balance_of(&self, rpc: &Rpc, owner: Address) -> Result<Xbzz, ChainError> {
        let call = self.call("balanceOf", &[address_token(owner)]);
        super::view(rpc, call, "a token balance", |mut answer| answer.saturating_u128().map(Xbzz::from_plur))
            .await
    }

    /// The domain that permits are signed under. It is read and not computed: the bridge chose the token's name.
    pub async fn domain_separator(&self, rpc: &Rpc) -> Result<[u8; 32], ChainError> {
        super::view(rpc, self.call("DOMAIN_SEPARATOR", &[]), "the token's domain", |mut answer| answer.word())
            .await
    }

    /// The nonce of an owner's next permit.
    pub async fn permit_nonce(&self, rpc: &Rpc, owner: Address) -> Result<u64, ChainError> {
        let call = self.call("nonces", &[address_token(owner)]);
        super::view(rpc, call, "a permit's nonce", |mut answer| answer.u64()).await
    }

    /// What `spender` may still take from `owner`; stops at the largest amount.
    pub async fn allowance(&self, rpc: &Rpc, owner: Address, spender: Address) -> Result<Xbzz, ChainError> {
        let call = self.call("allowance", &[address_token(owner), address_token(spender)]);
        super::view(rpc, call, "an allowance", |mut answer| answer.saturating_u128().map(Xbzz::from_plur))
            .await
    }
}
