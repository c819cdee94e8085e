//! Transactions as people are told of them.

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::{JobId, RequestId, TxHash};

use crate::codec::Columns;
use crate::{Store, StoreError};

/// Most transactions that are listed for one job.
const LISTED: i64 = 100;

/// One transaction of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TransactionRecord {
    /// What makes it the same transaction, such as `claim:<job>`.
    pub key: String,
    /// Its place in the wallet's sequence.
    pub nonce: u64,
    /// The newest version's hash, or that of the one in a block.
    pub hash: TxHash,
    /// `pending`, `mined` or `reverted`.
    pub state: String,
    /// Whether its block can't be taken back any more.
    pub is_final: bool,
    /// Height of its block.
    pub block: Option<u64>,
    /// Gas used.
    pub gas_used: Option<u64>,
    /// Wei paid for the gas, as a decimal number.
    pub fee_wei: Option<String>,
    /// Why the contract refused it.
    pub reason: Option<String>,
    /// How often it was signed: more than once where its fee was raised.
    pub versions: u64,
    /// When it was first stored, in milliseconds since 1970.
    pub created_at_ms: u64,
}

impl TransactionRecord {
    /// Wei paid for the gas.
    pub fn fee(&self) -> Option<u128> {
        self.fee_wei.as_ref().and_then(|wei| wei.parse().ok())
    }
}

fn read(row: &SqliteRow) -> Result<TransactionRecord, StoreError> {
    Ok(TransactionRecord {
        key: row.try_get("key")?,
        nonce: row.count("nonce")?,
        hash: row.id("hash")?,
        state: row.try_get("state")?,
        is_final: row.count("final")? == 1,
        block: row.maybe_count("block")?,
        gas_used: row.maybe_count("gas_used")?,
        fee_wei: row.maybe_amount("fee")?.map(|wei| wei.plur().to_string()),
        reason: row.try_get("reason")?,
        versions: row.count("versions")?,
        created_at_ms: row.count("created_at")?,
    })
}

impl Store {
    /// The transactions of a job, oldest first: the payment of an attempt at a request, and what was sent about the job
    /// itself.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_about(
        &self,
        request: Option<(RequestId, u32)>,
        job: Option<JobId>,
    ) -> Result<Vec<TransactionRecord>, StoreError> {
        let mut names: Vec<String> =
            request.map(|(request, attempt)| format!("post:{request}:{attempt}")).into_iter().collect();
        if let Some(job) = job {
            names.extend(["ack", "claim", "cancel", "timeout"].map(|what| format!("{what}:{job}")));
        }
        let mut records = Vec::new();
        for name in names {
            // The same again has a number behind a colon; `;` is the character after it.
            let sql = "SELECT t.*, (SELECT count(*) FROM transaction_versions v WHERE v.transaction_id = t.id) \
                       AS versions FROM transactions t WHERE (key = ? OR (key > ? AND key < ?)) \
                       AND market = coalesce(?, market) ORDER BY id LIMIT ?";
            let rows = sqlx::query(sql)
                .bind(&name)
                .bind(format!("{name}:"))
                .bind(format!("{name};"))
                .bind(self.market)
                .bind(LISTED)
                .fetch_all(&self.pool)
                .await?;
            for row in &rows {
                records.push(read(row)?);
            }
        }
        records.sort_by_key(|record| (record.created_at_ms, record.nonce));
        Ok(records)
    }

    /// The keys of the transactions of which a version's hash begins with these hexadecimal digits.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_keys_by_hash(&self, digits: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT t.key FROM transaction_versions v JOIN transactions t ON t.id = v.transaction_id \
                   WHERE substr(lower(hex(v.hash)), 1, ?) = ? LIMIT 10";
        let rows = sqlx::query(sql)
            .bind(i64::try_from(digits.len()).unwrap_or(i64::MAX))
            .bind(digits)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("key")?)).collect()
    }
}
