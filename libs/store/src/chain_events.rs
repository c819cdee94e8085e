//! What the chain told about jobs, in the order in which it was told.

mod keeping;
mod reading;
#[cfg(test)]
mod tests;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::{Address, JobId, TxHash};

use crate::StoreError;
use crate::codec::Columns;

/// An event about a job and its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLog {
    /// Height of the block.
    pub block: u64,
    /// Hash of the block.
    pub block_hash: [u8; 32],
    /// Place in the block; with the hash, unique.
    pub log_index: u64,
    /// The transaction.
    pub tx: TxHash,
    /// The job.
    pub job: JobId,
    /// Who pays for it.
    pub client: Address,
    /// Who works on it.
    pub provider: Address,
    /// What happened, as JSON.
    pub what: String,
}

/// A kept event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptJobLog {
    /// Its number in the order of telling.
    pub sequence: u64,
    /// Whether this says that the event was taken back by a reorganisation.
    pub is_gone: bool,
    /// The event.
    pub log: JobLog,
}

/// As whom a wallet takes part in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// It pays.
    Client,
    /// It works.
    Provider,
}

/// Which kept events are asked for.
#[derive(Clone, Copy, Debug)]
pub struct JobLogQuery {
    /// The wallet.
    pub wallet: Address,
    /// As whom it takes part.
    pub party: Party,
    /// Only events of this block and later ones.
    pub since_block: u64,
    /// Only events told after this one.
    pub after: u64,
    /// Only events told up to this one.
    pub up_to: u64,
    /// At most so many.
    pub limit: u32,
}

/// What one look at the chain found.
#[derive(Clone, Copy, Debug)]
pub struct JobLogChanges<'a> {
    /// Places (block hash, log index) of events that a reorganisation took back.
    pub removed: &'a [([u8; 32], u64)],
    /// New events, oldest first; one that is kept already is left as it is.
    pub added: &'a [JobLog],
    /// The reader's cursor after this look, to be moved with the events.
    pub cursor: Option<(&'a str, u64)>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

fn kept(row: &SqliteRow) -> Result<KeptJobLog, StoreError> {
    let log = JobLog {
        block: row.count("block")?,
        block_hash: row.id("block_hash")?,
        log_index: row.count("log_index")?,
        tx: row.id("tx")?,
        job: row.id("job")?,
        client: row.address("client")?,
        provider: row.address("provider")?,
        what: row.try_get("what")?,
    };
    Ok(KeptJobLog { sequence: row.count("sequence")?, is_gone: row.count("gone")? == 1, log })
}
