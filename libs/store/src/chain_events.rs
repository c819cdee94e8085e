//! What the chain told about jobs, in the order in which it was told.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use t4t_types::{Address, JobId, TxHash};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

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

const INSERT: &str = "INSERT INTO chain_events \
    (block, block_hash, log_index, tx, job, client, provider, what, gone, recorded_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING";

const MARK_GONE: &str = "INSERT OR REPLACE INTO chain_events \
    (block, block_hash, log_index, tx, job, client, provider, what, gone, recorded_at) \
    SELECT block, block_hash, log_index, tx, job, client, provider, what, 1, ? \
    FROM chain_events WHERE block_hash = ? AND log_index = ? AND gone = 0";

impl Store {
    /// Keeps what was found, all of it or nothing. An event that was taken back is replaced by a later entry that says
    /// so.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_apply(&self, changes: JobLogChanges<'_>) -> Result<(), StoreError> {
        let mut work = self.pool.begin().await?;
        for place in changes.removed {
            retract(&mut work, place, changes.now_ms).await?;
        }
        for log in changes.added {
            insert(&mut work, log, changes.now_ms).await?;
        }
        if let Some((name, block)) = changes.cursor {
            let sql = "INSERT INTO cursors (name, block) VALUES (?, ?) \
                       ON CONFLICT (name) DO UPDATE SET block = excluded.block";
            sqlx::query(sql).bind(name).bind(integer(block)).execute(&mut *work).await?;
        }
        Ok(work.commit().await?)
    }

    /// The kept events that match, in the order in which they were told.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_by_wallet(&self, query: JobLogQuery) -> Result<Vec<KeptJobLog>, StoreError> {
        let sql = match query.party {
            Party::Client => {
                "SELECT * FROM chain_events WHERE client = ? AND sequence > ? AND sequence <= ? AND block >= ? \
                 ORDER BY sequence LIMIT ?"
            }
            Party::Provider => {
                "SELECT * FROM chain_events WHERE provider = ? AND sequence > ? AND sequence <= ? AND block >= ? \
                 ORDER BY sequence LIMIT ?"
            }
        };
        let rows = sqlx::query(sql)
            .bind(query.wallet.as_bytes().as_slice())
            .bind(integer(query.after))
            .bind(integer(query.up_to))
            .bind(integer(query.since_block))
            .bind(query.limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(kept).collect()
    }

    /// The kept events from a block on that were not taken back.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_from_block(&self, block: u64) -> Result<Vec<JobLog>, StoreError> {
        let sql = "SELECT * FROM chain_events WHERE block >= ? AND gone = 0 ORDER BY sequence";
        let rows = sqlx::query(sql).bind(integer(block)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| kept(row).map(|kept| kept.log)).collect()
    }

    /// Client and provider of a job, if an event about it is kept. After a reorganisation the same id may be another
    /// client's and provider's job: what was told last, and not taken back, counts.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_parties(&self, job: JobId) -> Result<Option<(Address, Address)>, StoreError> {
        let row = sqlx::query(
            "SELECT client, provider FROM chain_events WHERE job = ? ORDER BY gone, sequence DESC LIMIT 1",
        )
        .bind(job.as_bytes().as_slice())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| Ok((row.address("client")?, row.address("provider")?))).transpose()
    }

    /// The number of the newest kept event; 0 if none is kept.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_newest(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(sequence), 0) AS newest FROM chain_events";
        sqlx::query(sql).fetch_one(&self.pool).await?.count("newest")
    }

    /// Forgets events that were recorded before `before_ms`, and all but the newest `keep`. Returns the number of the
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

    /// Forgets events above a block: the chain was set back, as only a development chain is.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_cut(&self, above: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM chain_events WHERE block > ?";
        Ok(sqlx::query(sql).bind(integer(above)).execute(&self.pool).await?.rows_affected())
    }
}

async fn retract(
    work: &mut Transaction<'_, Sqlite>,
    (block_hash, log_index): &([u8; 32], u64),
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(MARK_GONE)
        .bind(integer(now_ms))
        .bind(block_hash.as_slice())
        .bind(integer(*log_index))
        .execute(&mut **work)
        .await?;
    sqlx::query("DELETE FROM chain_events WHERE block_hash = ? AND log_index = ? AND gone = 0")
        .bind(block_hash.as_slice())
        .bind(integer(*log_index))
        .execute(&mut **work)
        .await?;
    Ok(())
}

async fn insert(work: &mut Transaction<'_, Sqlite>, log: &JobLog, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query(INSERT)
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

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Address = Address::new([1; 20]);
    const PROVIDER: Address = Address::new([2; 20]);

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        (folder, store)
    }

    fn log(block: u8, what: &str) -> JobLog {
        JobLog {
            block: block.into(),
            block_hash: [block; 32],
            log_index: 0,
            tx: TxHash::ZERO,
            job: JobId::new([7; 32]),
            client: CLIENT,
            provider: PROVIDER,
            what: what.into(),
        }
    }

    fn changes<'a>(removed: &'a [([u8; 32], u64)], added: &'a [JobLog]) -> JobLogChanges<'a> {
        JobLogChanges { removed, added, cursor: Some(("reader", 9)), now_ms: 1000 }
    }

    fn query(party: Party, since_block: u64, after: u64) -> JobLogQuery {
        let wallet = if party == Party::Client { CLIENT } else { PROVIDER };
        JobLogQuery { wallet, party, since_block, after, up_to: u64::MAX, limit: 100 }
    }

    #[tokio::test]
    async fn events_come_once_in_the_order_told_and_from_the_block_asked() {
        let (_folder, store) = store().await;
        let logs = [log(1, "a"), log(2, "b"), log(3, "c")];
        store.job_logs_apply(changes(&[], &logs)).await.unwrap();
        store.job_logs_apply(changes(&[], &logs)).await.unwrap();
        let found = store.job_logs_by_wallet(query(Party::Client, 2, 0)).await.unwrap();
        assert_eq!(found.iter().map(|kept| kept.log.what.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        let rest = store.job_logs_by_wallet(query(Party::Provider, 0, found[0].sequence)).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(store.job_logs_newest().await.unwrap(), rest[0].sequence);
        assert_eq!(store.cursor_by_name("reader").await.unwrap(), Some(9));
        assert_eq!(store.job_parties(JobId::new([7; 32])).await.unwrap(), Some((CLIENT, PROVIDER)));
        assert_eq!(store.job_parties(JobId::ZERO).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_id_that_a_reorganisation_gave_to_another_provider_is_that_providers() {
        const OTHER: Address = Address::new([3; 20]);
        let (_folder, store) = store().await;
        let job = JobId::new([7; 32]);
        store.job_logs_apply(changes(&[], &[log(1, "posted")])).await.unwrap();
        store.job_logs_apply(changes(&[([1; 32], 0)], &[])).await.unwrap();
        assert_eq!(store.job_parties(job).await.unwrap(), Some((CLIENT, PROVIDER)));
        let again = JobLog { provider: OTHER, ..log(2, "posted") };
        store.job_logs_apply(changes(&[], &[again])).await.unwrap();
        assert_eq!(store.job_parties(job).await.unwrap(), Some((CLIENT, OTHER)));
    }

    #[tokio::test]
    async fn an_event_taken_back_is_told_again_as_gone_however_often() {
        let (_folder, store) = store().await;
        let logs = [log(1, "a")];
        let gone = [([1; 32], 0)];
        for _ in 0..2 {
            store.job_logs_apply(changes(&[], &logs)).await.unwrap();
            let seen = store.job_logs_newest().await.unwrap();
            store.job_logs_apply(changes(&gone, &[])).await.unwrap();
            let found = store.job_logs_by_wallet(query(Party::Client, 0, seen)).await.unwrap();
            assert_eq!(found.iter().map(|kept| kept.is_gone).collect::<Vec<_>>(), [true]);
            assert!(store.job_logs_from_block(0).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn old_events_and_those_above_the_limit_are_forgotten_and_numbers_never_come_back() {
        let (_folder, store) = store().await;
        let logs = [log(1, "a"), log(2, "b"), log(3, "c")];
        store.job_logs_apply(changes(&[], &logs)).await.unwrap();
        let newest = store.job_logs_newest().await.unwrap();
        assert_eq!(store.job_logs_expire(0, 2).await.unwrap(), newest - 2);
        assert_eq!(store.job_logs_expire(1000, 2).await.unwrap(), 0);
        assert_eq!(store.job_logs_cut(2).await.unwrap(), 1);
        assert_eq!(store.job_logs_expire(1001, 2).await.unwrap(), newest - 1);
        store.job_logs_apply(changes(&[], &logs[..1])).await.unwrap();
        assert!(store.job_logs_newest().await.unwrap() > newest);
    }
}
