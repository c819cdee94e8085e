//! The payment channels' calls: deposits, channels out of them, claims.
//!
//! A call whose name ends in `_for` takes a payer's signature, which may be a contract's and then has any length. The
//! messages that are signed stand in [`messages`](self).

mod messages;

use ethers_core::abi::Token as AbiToken;
use serde::{Deserialize, Serialize};
use t4t_crypto::Signature;
use t4t_types::{Address, ChannelId, UnixSeconds, VoucherContext, Xbzz};

use crate::abi::{Garbled, Interface, Reader, address_token, bytes32_token, uint_token};
use crate::contracts::permit::Permit;
use crate::contracts::token::Token;
use crate::error::ChainError;
use crate::read::Call;
use crate::rpc::Rpc;

pub use messages::{
    ChannelDomain, ChannelKey, ChannelMessage, Close, Deposit, Open, RequestClose, TopUp, Voucher, Withdrawal,
};

/// `closingAt` of a channel that is closed.
const CLOSED: u64 = (1 << 40) - 1;

/// The payment channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Where they are.
    pub address: Address,
}

/// A voucher as it is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The channel.
    pub key: ChannelKey,
    /// What is owed since the channel was opened.
    pub cumulative: Xbzz,
    /// What for.
    pub context: VoucherContext,
    /// The signer's, over the voucher.
    pub signature: Signature,
}

/// What a payer has that no channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The balance.
    pub free: Xbzz,
    /// Nonce of the next signed deposit.
    pub deposit_nonce: u64,
    /// Nonce of the next signed withdrawal.
    pub withdraw_nonce: u64,
}

/// A channel as the chain has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// All that it ever held; of a closed one, what was paid.
    pub reserved: Xbzz,
    /// What the provider has of it.
    pub paid: Xbzz,
    /// How far it is.
    pub status: ChannelStatus,
}

/// How far a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelStatus {
    /// It was never opened.
    None,
    /// It is open.
    Open,
    /// The payer asked to close it.
    Closing {
        /// From when on anybody may close it, by the chain's clock; claims count until somebody does.
        from: UnixSeconds,
    },
    /// It is closed for ever.
    Closed,
}

impl Channels {
    fn call(&self, function: &str, arguments: &[AbiToken]) -> Call {
        Call { to: self.address, data: Interface::Channels.encode(function, arguments) }
    }

    /// Takes tokens of the sender, from its allowance, into a payer's free balance.
    pub fn deposit(&self, payer: Address, amount: Xbzz) -> Call {
        self.call("deposit", &[address_token(payer), uint_token(amount.plur())])
    }

    /// The same in one transaction without an allowance: the sender sends the tokens.
    pub fn deposit_by_transfer(&self, token: &Token, payer: Address, amount: Xbzz) -> Call {
        token.transfer_and_call(self.address, amount, payer.as_bytes())
    }

    /// Takes tokens of the payer, as it signed. Does nothing if the nonce was used.
    pub fn deposit_for(&self, deposit: &Deposit, payer_signature: &[u8], permit: &Permit) -> Call {
        let message = AbiToken::Tuple(vec![
            address_token(deposit.payer),
            uint_token(deposit.amount.plur()),
            uint_token(deposit.nonce),
            uint_token(deposit.deadline.get()),
        ]);
        self.call("depositFor", &[message, bytes_token(payer_signature), permit.token()])
    }

    /// Sends some of the sender's free balance.
    pub fn withdraw(&self, amount: Xbzz, to: Address) -> Call {
        self.call("withdraw", &[uint_token(amount.plur()), address_token(to)])
    }

    /// Sends some of a payer's free balance, as it signed.
    pub fn withdraw_for(&self, withdrawal: &Withdrawal, payer_signature: &[u8]) -> Call {
        let message = AbiToken::Tuple(vec![
            address_token(withdrawal.payer),
            address_token(withdrawal.to),
            uint_token(withdrawal.amount.plur()),
            uint_token(withdrawal.fee.plur()),
            uint_token(withdrawal.nonce),
            uint_token(withdrawal.deadline.get()),
        ]);
        self.call("withdrawFor", &[message, bytes_token(payer_signature)])
    }

    /// Opens a channel, as its payer signed; the payer itself gives an empty signature. Does nothing if it is open and
    /// holds as much.
    pub fn open_for(&self, open: &Open, payer_signature: &[u8]) -> Call {
        let arguments = [
            key_token(&open.key),
            uint_token(open.amount.plur()),
            uint_token(open.deadline.get()),
            bytes_token(payer_signature),
        ];
        self.call("openFor", &arguments)
    }

    /// Raises what a channel holds, as its payer signed; the payer itself gives an empty signature. Does nothing if it
    /// holds as much.
    pub fn top_up_for(&self, top_up: &TopUp, payer_signature: &[u8]) -> Call {
        let arguments = [
            key_token(&top_up.key),
            uint_token(top_up.reserved_total.plur()),
            uint_token(top_up.deadline.get()),
            bytes_token(payer_signature),
        ];
        self.call("topUpFor", &arguments)
    }

    /// Pays a provider what a voucher is above what was paid. Refused if that is nothing.
    pub fn claim(&self, row: &Row) -> Call {
        self.call("claim", &[row_token(row)])
    }

    /// The same for many vouchers of one provider, the first row's. What pays nothing is skipped, so a copy of some of
    /// it in another transaction does no harm.
    pub fn claim_many(&self, rows: &[Row]) -> Call {
        self.call("claimMany", &[AbiToken::Array(rows.iter().map(row_token).collect())])
    }

    /// Closes a channel with its last voucher, sent by the provider.
    pub fn close(&self, last: &Row) -> Call {
        self.call("closeTogether", &[row_token(last), uint_token(0_u64), bytes_token(&[])])
    }

    /// Closes a channel with its last voucher and the provider's consent to the same amount, sent by anybody.
    pub fn close_by_consent(&self, last: &Row, deadline: UnixSeconds, consent: &Signature) -> Call {
        let arguments = [row_token(last), uint_token(deadline.get()), bytes_token(&consent.to_bytes())];
        self.call("closeTogether", &arguments)
    }

    /// Asks to close a channel, sent by its payer.
    pub fn request_close(&self, key: &ChannelKey) -> Call {
        self.call("requestClose", &[key_token(key)])
    }

    /// Asks to close a channel, as its payer signed.
    pub fn request_close_for(&self, request: &RequestClose, payer_signature: &[u8]) -> Call {
        let arguments =
            [key_token(&request.key), uint_token(request.deadline.get()), bytes_token(payer_signature)];
        self.call("requestCloseFor", &arguments)
    }

    /// Closes a channel whose delay is over. Does nothing if it is closed.
    pub fn finalize_close(&self, key: &ChannelKey) -> Call {
        self.call("finalizeClose", &[key_token(key)])
    }

    /// Many calls of the channels in one transaction, all or none.
    pub fn multicall(&self, calls: &[Call]) -> Call {
        let calls = calls.iter().map(|call| bytes_token(&call.data)).collect();
        self.call("multicall", &[AbiToken::Array(calls)])
    }

    /// A payer's balance and nonces.
    pub async fn account(&self, rpc: &Rpc, payer: Address) -> Result<Account, ChainError> {
        let call = self.call("accounts", &[address_token(payer)]);
        super::view(rpc, call, "a payer's account", Account::read).await
    }

    /// The same for many payers, in few requests and in their order.
    pub async fn accounts(&self, rpc: &Rpc, payers: &[Address]) -> Result<Vec<Account>, ChainError> {
        let calls: Vec<Call> =
            payers.iter().map(|payer| self.call("accounts", &[address_token(*payer)])).collect();
        super::views(rpc, &calls, "a payer's account", Account::read).await?.into_iter().collect()
    }

    /// A channel.
    pub async fn channel(&self, rpc: &Rpc, id: ChannelId) -> Result<ChannelState, ChainError> {
        let call = self.call("channels", &[bytes32_token(id.as_bytes())]);
        super::view(rpc, call, "a channel", |mut answer| ChannelState::read(&mut answer)).await
    }

    /// Many channels by one call, in the order of the ids.
    pub async fn channels(&self, rpc: &Rpc, ids: &[ChannelId]) -> Result<Vec<ChannelState>, ChainError> {
        let list = ids.iter().map(|id| bytes32_token(id.as_bytes())).collect();
        let call = self.call("channelsOf", &[AbiToken::Array(list)]);
        super::view(rpc, call, "channels", |answer| read_channels(answer, ids.len())).await
    }

    /// The id that the contract gives a channel: [`ChannelDomain::channel_id`] with the chain where it was deployed.
    pub async fn channel_id(&self, rpc: &Rpc, key: &ChannelKey) -> Result<ChannelId, ChainError> {
        let call = self.call("channelId", &[key_token(key)]);
        super::view(rpc, call, "a channel's id", |mut answer| answer.word().map(ChannelId::new)).await
    }

    /// The token that is paid with.
    pub async fn xbzz(&self, rpc: &Rpc) -> Result<Address, ChainError> {
        super::view(rpc, self.call("xbzz", &[]), "the token's address", |mut answer| answer.address()).await
    }
}

impl Row {
    /// The voucher that is signed.
    pub fn voucher(&self, domain: &ChannelDomain) -> Voucher {
        Voucher { channel: domain.channel_id(&self.key), cumulative: self.cumulative, context: self.context }
    }
}

impl Account {
    fn read(mut answer: Reader<'_>) -> Result<Self, Garbled> {
        Ok(Self {
            free: Xbzz::from_plur(answer.u128()?),
            deposit_nonce: answer.u64()?,
            withdraw_nonce: answer.u64()?,
        })
    }
}

impl ChannelState {
    fn read(answer: &mut Reader<'_>) -> Result<Self, Garbled> {
        let reserved = Xbzz::from_plur(answer.u128()?);
        let paid = Xbzz::from_plur(answer.u128()?);
        let status = match answer.u64()? {
            0 if reserved.is_zero() => ChannelStatus::None,
            0 => ChannelStatus::Open,
            CLOSED => ChannelStatus::Closed,
            from => ChannelStatus::Closing { from: UnixSeconds::new(from) },
        };
        Ok(Self { reserved, paid, status })
    }

    /// What the channel can still pay: nothing unless it is open or closing.
    pub fn left(&self) -> Xbzz {
        self.reserved.saturating_sub(self.paid)
    }
}

/// The list that was asked for; another number of channels is no answer.
fn read_channels(mut answer: Reader<'_>, asked: usize) -> Result<Vec<ChannelState>, Garbled> {
    let mut list = answer.frame()?;
    if list.u64()? != asked as u64 {
        return Err(Garbled::new("it has another number of channels than was asked for"));
    }
    (0..asked).map(|_| ChannelState::read(&mut list)).collect()
}

fn key_token(key: &ChannelKey) -> AbiToken {
    AbiToken::Tuple(vec![
        address_token(key.payer),
        address_token(key.signer),
        address_token(key.provider),
        uint_token(key.close_delay),
        bytes32_token(key.salt.as_bytes()),
    ])
}

fn row_token(row: &Row) -> AbiToken {
    AbiToken::Tuple(vec![
        key_token(&row.key),
        uint_token(row.cumulative.plur()),
        bytes32_token(row.context.as_bytes()),
        bytes_token(&row.signature.to_bytes()),
    ])
}

fn bytes_token(bytes: &[u8]) -> AbiToken {
    AbiToken::Bytes(bytes.to_vec())
}

#[cfg(test)]
mod tests;
