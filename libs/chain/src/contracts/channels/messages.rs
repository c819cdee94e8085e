//! The channels' signed messages (EIP-712), hashed as the contract hashes them.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use t4t_crypto::{CryptoError, Signature, WalletKey, recover_digest, typed_digest};
use t4t_types::{Address, ChannelId, ChannelSalt, UnixSeconds, VoucherContext, Xbzz, keccak256};

/// Defines the hash of a message's type.
macro_rules! type_hashes {
    ($($name:ident = $($text:expr),+;)*) => {
        $(static $name: LazyLock<Word> = LazyLock::new(|| keccak256(concat!($($text),+)));)*
    };
}

macro_rules! channel_type {
    () => {
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)"
    };
}

type_hashes! {
    DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
    CHANNEL = channel_type!();
    OPEN = "Open(Channel channel,uint128 amount,uint40 deadline)", channel_type!();
    TOP_UP = "TopUp(Channel channel,uint128 reservedTotal,uint40 deadline)", channel_type!();
    REQUEST_CLOSE = "RequestClose(Channel channel,uint40 deadline)", channel_type!();
    DEPOSIT = "Deposit(address payer,uint128 amount,uint64 nonce,uint40 deadline)";
    WITHDRAWAL =
        "Withdrawal(address payer,address to,uint128 amount,uint128 fee,uint64 nonce,uint40 deadline)";
    VOUCHER = "Voucher(bytes32 channelId,uint128 cumulative,bytes32 context)";
    CLOSE = "Close(bytes32 channelId,uint128 cumulative,uint40 deadline)";
}

type Word = [u8; 32];

/// The contract and the chain that messages are signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelDomain {
    separator: Word,
}

impl ChannelDomain {
    /// The domain of a contract on a chain.
    pub fn new(chain_id: u64, contract: Address) -> Self {
        let words =
            [*DOMAIN, keccak256("t4t PaymentChannels"), keccak256("1"), number(chain_id), address(contract)];
        Self { separator: hash(&words) }
    }

    /// The id of a channel. After a fork it stays that of the chain where the contract was deployed.
    pub fn channel_id(&self, key: &ChannelKey) -> ChannelId {
        ChannelId::new(typed_digest(&self.separator, &key.struct_hash()))
    }
}

/// A message that the contract takes a signature for.
pub trait ChannelMessage {
    /// The hash of the message's type and values.
    fn struct_hash(&self) -> [u8; 32];

    /// What is signed.
    fn digest(&self, domain: &ChannelDomain) -> [u8; 32] {
        typed_digest(&domain.separator, &self.struct_hash())
    }

    /// Signs it.
    fn sign(&self, domain: &ChannelDomain, key: &WalletKey) -> Signature {
        key.sign_typed(&domain.separator, &self.struct_hash())
    }

    /// Who signed it.
    ///
    /// # Errors
    /// [`CryptoError::UnrecoverableSignature`] if no key can have made the signature.
    fn signer(&self, domain: &ChannelDomain, signature: &Signature) -> Result<Address, CryptoError> {
        recover_digest(&self.digest(domain), signature)
    }
}

/// What makes a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    /// Whose deposit pays.
    pub payer: Address,
    /// The key that signs vouchers; no contract.
    pub signer: Address,
    /// Who is paid.
    pub provider: Address,
    /// Seconds from the payer's request to close until the channel may be closed; less than 2^40.
    pub close_delay: u64,
    /// Tells channels apart that are equal otherwise.
    pub salt: ChannelSalt,
}

impl ChannelKey {
    fn struct_hash(&self) -> Word {
        hash(&[
            *CHANNEL,
            address(self.payer),
            address(self.signer),
            address(self.provider),
            number(self.close_delay),
            *self.salt.as_bytes(),
        ])
    }
}

/// Opens a channel; signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The channel.
    pub key: ChannelKey,
    /// What it holds.
    pub amount: Xbzz,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

/// Raises what a channel holds; signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// The channel.
    pub key: ChannelKey,
    /// What it holds altogether afterwards.
    pub reserved_total: Xbzz,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

/// Asks to close a channel; signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestClose {
    /// The channel.
    pub key: ChannelKey,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

/// Takes tokens of the payer into its free balance; signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Whose tokens and whose balance.
    pub payer: Address,
    /// How much.
    pub amount: Xbzz,
    /// The payer's next nonce of deposits.
    pub nonce: u64,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

/// Sends some of a payer's free balance; signed by the payer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Whose balance.
    pub payer: Address,
    /// Who gets it, less the fee.
    pub to: Address,
    /// What leaves the balance.
    pub amount: Xbzz,
    /// What of it becomes the free balance of whoever submits it.
    pub fee: Xbzz,
    /// The payer's next nonce of withdrawals.
    pub nonce: u64,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

/// All that a channel's provider is owed; signed by the channel's signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    /// The channel.
    pub channel: ChannelId,
    /// What is owed since the channel was opened.
    pub cumulative: Xbzz,
    /// What for.
    pub context: VoucherContext,
}

/// The provider's consent to close a channel at an amount, for somebody else to submit. A consent kept while serving goes
/// on closes at the old amount: a provider that can, closes by its own call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The channel.
    pub channel: ChannelId,
    /// What the last voucher says.
    pub cumulative: Xbzz,
    /// Until when it may be submitted, by the chain's clock.
    pub deadline: UnixSeconds,
}

impl ChannelMessage for Open {
    fn struct_hash(&self) -> Word {
        hash(&[*OPEN, self.key.struct_hash(), number(self.amount.plur()), time(self.deadline)])
    }
}

impl ChannelMessage for TopUp {
    fn struct_hash(&self) -> Word {
        hash(&[*TOP_UP, self.key.struct_hash(), number(self.reserved_total.plur()), time(self.deadline)])
    }
}

impl ChannelMessage for RequestClose {
    fn struct_hash(&self) -> Word {
        hash(&[*REQUEST_CLOSE, self.key.struct_hash(), time(self.deadline)])
    }
}

impl ChannelMessage for Deposit {
    fn struct_hash(&self) -> Word {
        hash(&[
            *DEPOSIT,
            address(self.payer),
            number(self.amount.plur()),
            number(self.nonce),
            time(self.deadline),
        ])
    }
}

impl ChannelMessage for Withdrawal {
    fn struct_hash(&self) -> Word {
        hash(&[
            *WITHDRAWAL,
            address(self.payer),
            address(self.to),
            number(self.amount.plur()),
            number(self.fee.plur()),
            number(self.nonce),
            time(self.deadline),
        ])
    }
}

impl ChannelMessage for Voucher {
    fn struct_hash(&self) -> Word {
        hash(&[*VOUCHER, *self.channel.as_bytes(), number(self.cumulative.plur()), *self.context.as_bytes()])
    }
}

impl ChannelMessage for Close {
    fn struct_hash(&self) -> Word {
        hash(&[*CLOSE, *self.channel.as_bytes(), number(self.cumulative.plur()), time(self.deadline)])
    }
}

fn hash(words: &[Word]) -> Word {
    keccak256(words.as_flattened())
}

fn address(address: Address) -> Word {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address.as_bytes());
    word
}

fn number(number: impl Into<u128>) -> Word {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&number.into().to_be_bytes());
    word
}

fn time(at: UnixSeconds) -> Word {
    number(at.get())
}
