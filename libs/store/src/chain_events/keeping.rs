//! Keeping events, and forgetting them.

use sqlx::{Sqlite, Transaction};

use super::{JobLog, JobLogChanges};
use crate::codec::{Columns, integer};
use crate::{Store, StoreError, cursors};

const INSERT: &str = "INSERT INTO chain_events \
    (market, block, block_hash, log_index, tx, job, client, provider, what, gone, recorded_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING";

const MARK_GONE: &str = "INSERT OR REPLACE INTO chain_events \
    (market, block, block_hash, log_index, tx, job, client, provider, what, gone, recorded_at) \
    SELECT market, block, block_hash, log_index, tx, job, client, provider, what, 1, ? \
    FROM chain_events WHERE block_hash = ? AND log_index = ? AND gone = 0 AND market = ?";

impl Store {
    /// Keeps what was found, all of it or nothing. An event that was taken back is replaced by a later entry that says
    /// so.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_apply(&self, changes: JobLogChanges<'_>) -> Result<(), StoreError> {
        let market = self.market()?;
        let mut work = self.pool.begin().await?;
        for place in changes.removed {
            retract(&mut work, market, place, changes.now_ms).await?;
        }
        for log in changes.added {
            insert(&mut work, market, log, changes.now_ms).await?;
        }
        if let Some(cursor) = changes.cursor {
            cursors::set(&mut work, market, cursor).await?;
        }
        Ok(work.commit().await?)
    }

    /// Forgets events, of whatever market, that were recorded before `before_ms`, and all but the newest `keep`. Returns the number of the
    /// newest that is forgotten, or 0.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_expire(&self, before_ms: u64, keep: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM chain_events WHERE recorded_at < ? \
                   OR sequence <= (SELECT COALESCE(MAX(sequence), 0) FROM chain_events) - ? RETURNING sequence";
        let rows =
            sqlx::query(sql).bind(integer(before_ms)).bind(integer(keep)).fetch_all(&self.pool).await?;
        rows.iter().try_fold(0, |newest, row| Ok(row.count("sequence")?.max(newest)))
    }

    /// Forgets the market's events above a block: the chain was set back, as only a development chain is.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_cut(&self, above: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM chain_events WHERE block > ? AND market = ?";
        Ok(sqlx::query(sql)
            .bind(integer(above))
            .bind(self.market()?)
            .execute(&self.pool)
            .await?
            .rows_affected())
    }
}

async fn retract(
    work: &mut Transaction<'_, Sqlite>,
    market: i64,
    (block_hash, log_index): &([u8; 32], u64),
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(MARK_GONE)
        .bind(integer(now_ms))
        .bind(block_hash.as_slice())
        .bind(integer(*log_index))
        .bind(market)
        .execute(&mut **work)
        .await?;
    sqlx::query(
        "DELETE FROM chain_events WHERE block_hash = ? AND log_index = ? AND gone = 0 AND market = ?",
    )
    .bind(block_hash.as_slice())
    .bind(integer(*log_index))
    .bind(market)
    .execute(&mut **work)
    .await?;
    Ok(())
}

async fn insert(
    work: &mut Transaction<'_, Sqlite>,
    market: i64,
    log: &JobLog,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(market)
        .bind(integer(log.block))
        .bind(log.block_hash.as_slice())
        .bind(integer(log.log_index))
        .bind(log.tx.as_bytes().as_slice())
        .bind(log.job.as_bytes().as_slice())
        .bind(log.client.as_bytes().as_slice())
        .bind(log.provider.as_bytes().as_slice())
        .bind(&log.what)
        .bind(integer(now_ms))
        .execute(&mut **work)
        .await?;
    Ok(())
}
