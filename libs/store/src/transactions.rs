//! Transactions of the wallet, with every signed version of each.
//!
//! A row and its first version are committed before anything is sent. A row is `pending` until a version of it is in
//! a block, then `mined` or `reverted`, and final once that block can't be taken back any more.

mod reading;
mod records;
#[cfg(test)]
mod tests;
mod writing;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::{Address, JobId, TxHash, Xbzz};

use crate::StoreError;
use crate::codec::Columns;

pub use self::records::TransactionRecord;

/// Whose transactions, on which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionScope {
    /// The chain's id.
    pub chain_id: u64,
    /// The wallet that signs them.
    pub wallet: Address,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(i64);

/// What is called and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCall {
    /// Whom it goes to.
    pub to: Address,
    /// ABI-encoded function and arguments.
    pub data: Vec<u8>,
    /// Wei that go along.
    pub value: u128,
    /// Most gas that it may take.
    pub gas_limit: u64,
}

/// One signed version of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its id on the chain.
    pub hash: TxHash,
    /// Its place in the wallet's sequence.
    pub nonce: u64,
    /// The bytes to send.
    pub raw: Vec<u8>,
    /// Most wei that it pays for a unit of gas.
    pub max_fee: u128,
    /// Most wei of it that the block's maker gets.
    pub max_priority: u128,
    /// Whether a node said that another transaction has its nonce, so that these bytes wait nowhere.
    pub refused: bool,
}

/// A transaction that is about to be sent for the first time.
#[derive(Clone, Debug)]
pub struct NewTransaction<'a> {
    /// What makes a second submission the same.
    pub key: &'a str,
    /// What it is to do, as JSON.
    pub intent: &'a str,
    /// What is called.
    pub call: &'a StoredCall,
    /// The first version.
    pub version: &'a StoredVersion,
    /// Now, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The block a transaction is in, and what it did there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The version that is in the block.
    pub hash: TxHash,
    /// Height of the block.
    pub block: u64,
    /// Hash of the block.
    pub block_hash: [u8; 32],
    /// Gas used.
    pub gas_used: u64,
    /// Wei paid for the gas.
    pub fee_wei: u128,
    /// The job it posted or settled.
    pub job: Option<JobId>,
    /// What a claim paid, or a cancellation or time-out burned.
    pub amount: Option<Xbzz>,
    /// Why the contract refused it; `None` if it did what it was to do.
    pub revert: Option<String>,
}

/// How far a transaction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionState {
    /// In no block that is known.
    Pending,
    /// In a block.
    Included {
        /// Which, and what it did there.
        inclusion: Inclusion,
        /// Whether the block can't be taken back any more.
        is_final: bool,
    },
}

/// A transaction as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransaction {
    /// The row.
    pub id: TransactionId,
    /// What makes a second submission the same.
    pub key: String,
    /// What it is to do, as JSON.
    pub intent: String,
    /// What is called.
    pub call: StoredCall,
    /// Its place in the wallet's sequence.
    pub nonce: u64,
    /// The newest version's hash, or that of the one in a block.
    pub hash: TxHash,
    /// How far it is.
    pub state: TransactionState,
    /// When it was first stored, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Its versions, oldest first. Empty where only its state was asked for.
    pub versions: Vec<StoredVersion>,
}

impl StoredTransaction {
    /// Whether it is in no block.
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, TransactionState::Pending)
    }

    /// The version that was signed last.
    pub fn newest(&self) -> Option<&StoredVersion> {
        self.versions.last()
    }
}

fn wei(row: &SqliteRow, column: &'static str) -> Result<u128, StoreError> {
    row.amount(column).map(Xbzz::plur)
}

fn missing(column: &'static str) -> StoreError {
    StoreError::Damaged { column }
}

fn read_inclusion(row: &SqliteRow, hash: TxHash, reverted: bool) -> Result<Inclusion, StoreError> {
    let reason: Option<String> = row.try_get("reason")?;
    let fee = row.maybe_amount("fee")?.ok_or_else(|| missing("fee"))?;
    let block_hash: Option<TxHash> = row.maybe_id("block_hash")?;
    Ok(Inclusion {
        hash,
        block: row.maybe_count("block")?.ok_or_else(|| missing("block"))?,
        block_hash: *block_hash.ok_or_else(|| missing("block_hash"))?.as_bytes(),
        gas_used: row.maybe_count("gas_used")?.ok_or_else(|| missing("gas_used"))?,
        fee_wei: fee.plur(),
        job: row.maybe_id("job")?,
        amount: row.maybe_amount("amount")?,
        revert: reverted.then(|| reason.unwrap_or_default()),
    })
}

fn read_state(row: &SqliteRow, hash: TxHash) -> Result<TransactionState, StoreError> {
    let state: String = row.try_get("state")?;
    let reverted = match state.as_str() {
        "pending" => return Ok(TransactionState::Pending),
        "mined" => false,
        "reverted" => true,
        _ => return Err(missing("state")),
    };
    let inclusion = read_inclusion(row, hash, reverted)?;
    Ok(TransactionState::Included { inclusion, is_final: row.count("final")? == 1 })
}

fn read(row: &SqliteRow) -> Result<StoredTransaction, StoreError> {
    let hash = row.id("hash")?;
    Ok(StoredTransaction {
        id: TransactionId(row.try_get("id")?),
        key: row.try_get("key")?,
        intent: row.try_get("intent")?,
        call: StoredCall {
            to: row.address("recipient")?,
            data: row.try_get("calldata")?,
            value: wei(row, "value")?,
            gas_limit: row.count("gas_limit")?,
        },
        nonce: row.count("nonce")?,
        hash,
        state: read_state(row, hash)?,
        created_at_ms: row.count("created_at")?,
        versions: Vec::new(),
    })
}

fn read_version(row: &SqliteRow) -> Result<StoredVersion, StoreError> {
    Ok(StoredVersion {
        hash: row.id("hash")?,
        nonce: row.count("nonce")?,
        raw: row.try_get("raw")?,
        max_fee: wei(row, "max_fee")?,
        max_priority: wei(row, "max_priority")?,
        refused: row.count("refused")? == 1,
    })
}
