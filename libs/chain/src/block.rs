//! Blocks, receipts and logs as the node reports them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use t4t_types::{Address, TxHash, UnixSeconds};

use crate::encoding::{HexBytes, Number, Quantity, quantity};

/// A block's hash. Text form `0x…`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// Wraps the raw bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlockHash {
    type Err = t4t_types::ParseBytes32Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<TxHash>().map(|hash| Self(*hash.as_bytes()))
    }
}

impl Serialize for BlockHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The state of the chain that a question is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockTag {
    /// After the newest block.
    #[default]
    Latest,
    /// After the newest block and what the node would put into the next.
    Pending,
    /// After the newest block that can't be reorganised away any more.
    Finalized,
    /// After the block of this number.
    Number(u64),
}

impl BlockTag {
    pub(crate) fn to_param(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Pending => json!("pending"),
            Self::Finalized => json!("finalized"),
            Self::Number(number) => json!(quantity(number)),
        }
    }
}

/// A block without its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Height.
    pub number: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Hash of the block before it.
    pub parent_hash: BlockHash,
    /// When it was made, by the chain's clock.
    pub timestamp: UnixSeconds,
    /// Wei that every unit of gas in it costs at least.
    pub base_fee: u128,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawBlock {
    number: Number,
    hash: BlockHash,
    parent_hash: BlockHash,
    timestamp: Number,
    #[serde(default)]
    base_fee_per_gas: Option<Quantity>,
}

impl From<RawBlock> for BlockHeader {
    fn from(raw: RawBlock) -> Self {
        Self {
            number: raw.number.0,
            hash: raw.hash,
            parent_hash: raw.parent_hash,
            timestamp: UnixSeconds::new(raw.timestamp.0),
            base_fee: raw.base_fee_per_gas.unwrap_or_default().0,
        }
    }
}

/// What a contract wrote down in a transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// The event's hash and its indexed values; at most four.
    pub topics: Vec<[u8; 32]>,
    /// The event's other values, ABI-encoded.
    pub data: Vec<u8>,
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: BlockHash,
    /// The transaction.
    pub tx: TxHash,
    /// Place in the block.
    pub log_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawLog {
    address: Address,
    topics: Vec<TxHash>,
    data: HexBytes,
    block_number: Option<Number>,
    block_hash: Option<BlockHash>,
    transaction_hash: Option<TxHash>,
    log_index: Option<Number>,
    #[serde(default)]
    removed: bool,
}

impl RawLog {
    /// The log, or `None` if it is not in a block (pending, or removed by a reorganisation).
    pub(crate) fn mined(self) -> Option<Log> {
        if self.removed || self.topics.len() > 4 {
            return None;
        }
        Some(Log {
            address: self.address,
            topics: self.topics.iter().map(|topic| *topic.as_bytes()).collect(),
            data: self.data.0,
            block_number: self.block_number?.0,
            block_hash: self.block_hash?,
            tx: self.transaction_hash?,
            log_index: self.log_index?.0,
        })
    }
}

/// What became of a transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub tx: TxHash,
    /// Whether it did what it was meant to; otherwise it was reverted and only cost gas.
    pub success: bool,
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: BlockHash,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei it paid for a unit of gas.
    pub effective_gas_price: u128,
    /// What contracts wrote down in it.
    pub logs: Vec<Log>,
    /// The contract it created, if it created one.
    pub contract: Option<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawReceipt {
    transaction_hash: TxHash,
    status: Number,
    block_number: Number,
    block_hash: BlockHash,
    gas_used: Number,
    #[serde(default)]
    effective_gas_price: Option<Quantity>,
    logs: Vec<RawLog>,
    #[serde(default)]
    contract_address: Option<Address>,
}

impl From<RawReceipt> for Receipt {
    fn from(raw: RawReceipt) -> Self {
        Self {
            tx: raw.transaction_hash,
            success: raw.status.0 == 1,
            block_number: raw.block_number.0,
            block_hash: raw.block_hash,
            gas_used: raw.gas_used.0,
            effective_gas_price: raw.effective_gas_price.unwrap_or_default().0,
            logs: raw.logs.into_iter().filter_map(RawLog::mined).collect(),
            contract: raw.contract_address,
        }
    }
}
