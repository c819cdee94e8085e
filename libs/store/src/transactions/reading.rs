//! Reading transactions.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_types::Address;

use super::{StoredTransaction, StoredVersion, TransactionId, TransactionScope, read, read_version, wei};
use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

impl Store {
    /// The state of the market's transaction with a name, without its versions.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn transaction_by_key(
        &self,
        scope: TransactionScope,
        key: &str,
    ) -> Result<Option<StoredTransaction>, StoreError> {
        let sql = "SELECT * FROM transactions WHERE chain_id = ? AND wallet = ? AND key = ? \
                   AND market = coalesce(?, market)";
        let row = sqlx::query(sql)
            .bind(integer(scope.chain_id))
            .bind(scope.wallet.as_bytes().as_slice())
            .bind(key)
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All transactions that are not final, of whatever market (they share the wallet's nonces), with their versions, by nonce.
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
}
