//! Reading kept events.

use t4t_types::{Address, JobId};

use super::{JobLog, JobLogQuery, KeptJobLog, Party, kept};
use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

impl Store {
    /// The kept events that match, in the order in which they were told.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_by_wallet(&self, query: JobLogQuery) -> Result<Vec<KeptJobLog>, StoreError> {
        let sql = match query.party {
            Party::Client => {
                "SELECT * FROM chain_events WHERE client = ? AND sequence > ? AND sequence <= ? AND block >= ? \
                 AND market = coalesce(?, market) ORDER BY sequence LIMIT ?"
            }
            Party::Provider => {
                "SELECT * FROM chain_events WHERE provider = ? AND sequence > ? AND sequence <= ? AND block >= ? \
                 AND market = coalesce(?, market) ORDER BY sequence LIMIT ?"
            }
        };
        let rows = sqlx::query(sql)
            .bind(query.wallet.as_bytes().as_slice())
            .bind(integer(query.after))
            .bind(integer(query.up_to))
            .bind(integer(query.since_block))
            .bind(self.market)
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
        let sql = "SELECT * FROM chain_events WHERE block >= ? AND gone = 0 \
                   AND market = coalesce(?, market) ORDER BY sequence";
        let rows = sqlx::query(sql).bind(integer(block)).bind(self.market).fetch_all(&self.pool).await?;
        rows.iter().map(|row| kept(row).map(|kept| kept.log)).collect()
    }

    /// Client and provider of a job, if an event about it is kept. After a reorganisation the same id may be another
    /// client's and provider's job: what was told last, and not taken back, counts.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_parties(&self, job: JobId) -> Result<Option<(Address, Address)>, StoreError> {
        let sql = "SELECT client, provider FROM chain_events WHERE job = ? AND market = coalesce(?, market) \
                   ORDER BY gone, sequence DESC LIMIT 1";
        let row = sqlx::query(sql)
            .bind(job.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok((row.address("client")?, row.address("provider")?))).transpose()
    }

    /// The number of the newest kept event, of whatever market; 0 if none is kept.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn job_logs_newest(&self) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(sequence), 0) AS newest FROM chain_events";
        sqlx::query(sql).fetch_one(&self.pool).await?.count("newest")
    }
}
