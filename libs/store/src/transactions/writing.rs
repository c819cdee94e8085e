//! Storing transactions and what became of them.

use sqlx::{Sqlite, Transaction};
use t4t_types::TxHash;

use super::{Inclusion, NewTransaction, StoredVersion, TransactionId, TransactionScope};
use crate::codec::integer;
use crate::{Store, StoreError};

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
        let market = self.market()?;
        let mut change = self.pool.begin().await?;
        let sql = "INSERT INTO transactions (market, chain_id, wallet, key, intent, state, nonce, recipient, calldata, \
                   value, gas_limit, hash, created_at, updated_at) \
                   VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?) \
                   ON CONFLICT (chain_id, wallet, key, market) DO NOTHING";
        let done = sqlx::query(sql)
            .bind(market)
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
