//! Transactions of the wallet, with every signed version of each.
//!
//! A row and its first version are committed before anything is sent. A row is `pending` until a version of it is in
//! a block, then `mined` or `reverted`, and final once that block can't be taken back any more.

mod records;

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use t4t_types::{Address, JobId, TxHash, Xbzz};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

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

async fn insert_version(
    change: &mut Transaction<'_, Sqlite>,
    id: TransactionId,
    version: &StoredVersion,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO transaction_versions (transaction_id, hash, nonce, raw, max_fee, max_priority) \
               VALUES (?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(id.0)
        .bind(version.hash.as_bytes().as_slice())
        .bind(integer(version.nonce))
        .bind(&version.raw)
        .bind(version.max_fee.to_be_bytes().as_slice())
        .bind(version.max_priority.to_be_bytes().as_slice())
        .execute(&mut **change)
        .await?;
    Ok(())
}

impl Store {
    /// Stores a transaction with its first version; `None` means that the key is taken.
    ///
    /// # Errors
    /// The database can't be used, or another transaction holds the nonce.
    pub async fn transaction_insert(
        &self,
        scope: TransactionScope,
        new: &NewTransaction<'_>,
    ) -> Result<Option<TransactionId>, StoreError> {
        let mut change = self.pool.begin().await?;
        let sql = "INSERT INTO transactions (chain_id, wallet, key, intent, state, nonce, recipient, calldata, value, \
                   gas_limit, hash, created_at, updated_at) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?) \
                   ON CONFLICT (chain_id, wallet, key) DO NOTHING";
        let done = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(new.key)
            .bind(new.intent)
            .bind(integer(new.version.nonce))
            .bind(new.call.to.as_bytes().as_slice())
            .bind(&new.call.data)
            .bind(new.call.value.to_be_bytes().as_slice())
            .bind(integer(new.call.gas_limit))
            .bind(new.version.hash.as_bytes().as_slice())
            .bind(integer(new.at_ms))
            .bind(integer(new.at_ms))
            .execute(&mut *change)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let id = TransactionId(done.last_insert_rowid());
        insert_version(&mut change, id, new.version).await?;
        change.commit().await?;
        Ok(Some(id))
    }

    /// A transaction's state, without its versions.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_by_key(
        &self,
        scope: TransactionScope,
        key: &str,
    ) -> Result<Option<StoredTransaction>, StoreError> {
        let row = sqlx::query("SELECT * FROM transactions WHERE chain_id = ? AND wallet = ? AND key = ?")
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(key)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All transactions that are not final, with their versions, by nonce.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_open(
        &self,
        scope: TransactionScope,
    ) -> Result<Vec<StoredTransaction>, StoreError> {
        let sql = "SELECT * FROM transactions WHERE chain_id = ? AND wallet = ? AND final = 0 ORDER BY nonce";
        let rows = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .fetch_all(&self.pool)
            .await?;
        let mut open: Vec<StoredTransaction> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let mut versions = self.open_versions(scope).await?;
        for transaction in &mut open {
            transaction.versions = versions.remove(&transaction.id).unwrap_or_default();
        }
        Ok(open)
    }

    async fn open_versions(
        &self,
        scope: TransactionScope,
    ) -> Result<HashMap<TransactionId, Vec<StoredVersion>>, StoreError> {
        let sql = "SELECT v.* FROM transaction_versions v JOIN transactions t ON t.id = v.transaction_id \
                   WHERE t.chain_id = ? AND t.wallet = ? AND t.final = 0 ORDER BY v.id";
        let rows = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .fetch_all(&self.pool)
            .await?;
        let mut versions: HashMap<TransactionId, Vec<StoredVersion>> = HashMap::new();
        for row in &rows {
            let owner = TransactionId(row.try_get("transaction_id")?);
            versions.entry(owner).or_default().push(read_version(row)?);
        }
        Ok(versions)
    }

    /// How many transactions wait for a block.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_pending_count(&self, scope: TransactionScope) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) AS pending FROM transactions \
                   WHERE chain_id = ? AND wallet = ? AND final = 0 AND state = 'pending'";
        let row = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .fetch_one(&self.pool)
            .await?;
        row.count("pending")
    }

    /// The highest nonce that a transaction used whose block can't be taken back any more. Those that were closed because
    /// something else happened at their nonce, or nothing, do not count.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_highest_mined(
        &self,
        scope: TransactionScope,
        closed: [&str; 2],
    ) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT max(v.nonce) AS nonce FROM transactions t \
                   JOIN transaction_versions v ON v.transaction_id = t.id AND v.hash = t.hash \
                   WHERE t.chain_id = ? AND t.wallet = ? AND t.final = 1 AND coalesce(t.reason, '') NOT IN (?, ?)";
        let [first, second] = closed;
        let row = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(first)
            .bind(second)
            .fetch_one(&self.pool)
            .await?;
        row.maybe_count("nonce")
    }

    /// The bytes that are noted as mined at a nonce. Fillers and payments that were closed are not.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_mined_at(
        &self,
        scope: TransactionScope,
        nonce: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT v.raw AS raw FROM transactions t \
                   JOIN transaction_versions v ON v.transaction_id = t.id AND v.hash = t.hash \
                   WHERE t.chain_id = ? AND t.wallet = ? AND v.nonce = ? AND t.state <> 'pending' AND t.gas_used > 0 \
                   ORDER BY t.id DESC LIMIT 1";
        let row = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(integer(nonce))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("raw")).transpose()?)
    }

    /// Nonces from `from` on for which something was signed that is no longer to be mined there, and the most that it
    /// pays: most wei for a unit of gas, and most wei of it that the block's maker gets.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_left_behind(
        &self,
        scope: TransactionScope,
        from: u64,
    ) -> Result<Vec<(u64, u128, u128)>, StoreError> {
        let sql = "SELECT v.nonce AS nonce, v.max_fee AS max_fee, v.max_priority AS max_priority \
                   FROM transaction_versions v JOIN transactions t ON t.id = v.transaction_id \
                   WHERE t.chain_id = ? AND t.wallet = ? AND v.nonce >= ? AND (t.final = 1 OR t.nonce <> v.nonce)";
        let rows = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(integer(from))
            .fetch_all(&self.pool)
            .await?;
        let read =
            |row: &SqliteRow| Ok((row.count("nonce")?, wei(row, "max_fee")?, wei(row, "max_priority")?));
        rows.iter().map(read).collect()
    }

    /// A wallet other than the scope's that has transactions on the scope's chain here, if there is one.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_other_wallet(
        &self,
        scope: TransactionScope,
    ) -> Result<Option<Address>, StoreError> {
        let sql =
            "SELECT wallet FROM transactions WHERE chain_id = ? AND wallet <> ? ORDER BY id DESC LIMIT 1";
        let row = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| row.address("wallet")).transpose()
    }

    /// Stores another version of a pending transaction, at its nonce or (with a new one) at another; `false` means
    /// that the transaction is no longer pending at `nonce`.
    ///
    /// # Errors
    /// The database can't be used, or another transaction holds the new nonce.
    pub async fn transaction_version_insert(
        &self,
        id: TransactionId,
        nonce: u64,
        version: &StoredVersion,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut change = self.pool.begin().await?;
        let sql = "UPDATE transactions SET nonce = ?, hash = ?, updated_at = ? \
                   WHERE id = ? AND nonce = ? AND state = 'pending'";
        let done = sqlx::query(sql)
            .bind(integer(version.nonce))
            .bind(version.hash.as_bytes().as_slice())
            .bind(integer(at_ms))
            .bind(id.0)
            .bind(integer(nonce))
            .execute(&mut *change)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        insert_version(&mut change, id, version).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Notes that a version waits nowhere, because another transaction has its nonce.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_version_refuse(&self, hash: TxHash) -> Result<(), StoreError> {
        let sql = "UPDATE transaction_versions SET refused = 1 WHERE hash = ?";
        sqlx::query(sql).bind(hash.as_bytes().as_slice()).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes the block that a version is in; `false` means that the transaction is final already.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_include(
        &self,
        id: TransactionId,
        inclusion: &Inclusion,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        let state = if inclusion.revert.is_some() { "reverted" } else { "mined" };
        let sql = "UPDATE transactions SET state = ?, hash = ?, block = ?, block_hash = ?, gas_used = ?, fee = ?, \
                   job = ?, amount = ?, reason = ?, updated_at = ? WHERE id = ? AND final = 0";
        let done = sqlx::query(sql)
            .bind(state)
            .bind(inclusion.hash.as_bytes().as_slice())
            .bind(integer(inclusion.block))
            .bind(inclusion.block_hash.as_slice())
            .bind(integer(inclusion.gas_used))
            .bind(inclusion.fee_wei.to_be_bytes().as_slice())
            .bind(inclusion.job.as_ref().map(|job| job.as_bytes().as_slice()))
            .bind(inclusion.amount.map(|amount| amount.to_be_bytes().to_vec()))
            .bind(&inclusion.revert)
            .bind(integer(at_ms))
            .bind(id.0)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a transaction's block back, which a reorganisation did: it is pending again.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_reopen(&self, id: TransactionId, at_ms: u64) -> Result<bool, StoreError> {
        let sql = "UPDATE transactions SET state = 'pending', block = NULL, block_hash = NULL, gas_used = NULL, \
                   fee = NULL, job = NULL, amount = NULL, reason = NULL, updated_at = ? WHERE id = ? AND final = 0";
        let done = sqlx::query(sql).bind(integer(at_ms)).bind(id.0).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that the blocks of these transactions can't be taken back any more.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_finalize(&self, ids: &[TransactionId]) -> Result<(), StoreError> {
        let mut change = self.pool.begin().await?;
        for id in ids {
            sqlx::query("UPDATE transactions SET final = 1 WHERE id = ? AND state <> 'pending'")
                .bind(id.0)
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(())
    }

    /// Forgets final transactions that were stored before `before_ms`.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transactions_expire(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM transactions WHERE final = 1 AND created_at < ?";
        Ok(sqlx::query(sql).bind(integer(before_ms)).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests;
