//! Reading rows of the buying side.

use sqlx::sqlite::SqliteRow;
use t4t_types::{JobId, RequestId, RoutingId};

use super::{BuyingJob, read};
use crate::codec::integer;
use crate::{Store, StoreError};

fn read_all(rows: &[SqliteRow]) -> Result<Vec<BuyingJob>, StoreError> {
    rows.iter().map(read).collect()
}

impl Store {
    /// One attempt.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_attempt(&self, id: (RequestId, u32)) -> Result<Option<BuyingJob>, StoreError> {
        let row = sqlx::query(
            "SELECT * FROM buying_jobs WHERE request_id = ? AND attempt = ? AND market = coalesce(?, market)",
        )
        .bind(id.0.as_bytes().as_slice())
        .bind(id.1)
        .bind(self.market)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// All attempts to answer a request, first to last.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_request(&self, request_id: RequestId) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE request_id = ? AND market = coalesce(?, market) ORDER BY attempt";
        let rows = sqlx::query(sql)
            .bind(request_id.as_bytes().as_slice())
            .bind(self.market)
            .fetch_all(&self.pool)
            .await?;
        read_all(&rows)
    }

    /// The attempt that a job on the chain belongs to.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_job(&self, job: JobId) -> Result<Option<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE job = ? AND market = coalesce(?, market)";
        let row = sqlx::query(sql)
            .bind(job.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// The attempt that messages name so.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_routing_id(&self, routing_id: RoutingId) -> Result<Option<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE routing_id = ? AND market = coalesce(?, market)";
        let row = sqlx::query(sql)
            .bind(routing_id.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Every attempt that has not come to its end, oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_open(&self) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE state IN ('planned', 'posted', 'acked', 'delivered') \
                   AND market = coalesce(?, market) ORDER BY created_at";
        read_all(&sqlx::query(sql).bind(self.market).fetch_all(&self.pool).await?)
    }

    /// Every attempt planned at `since_ms` or later.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_since(&self, since_ms: u64) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE created_at >= ? AND market = coalesce(?, market)";
        let query = sqlx::query(sql).bind(integer(since_ms)).bind(self.market);
        read_all(&query.fetch_all(&self.pool).await?)
    }

    /// The newest attempts, newest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_recent(&self, limit: u32) -> Result<Vec<BuyingJob>, StoreError> {
        let sql =
            "SELECT * FROM buying_jobs WHERE market = coalesce(?, market) ORDER BY created_at DESC LIMIT ?";
        read_all(&sqlx::query(sql).bind(self.market).bind(limit).fetch_all(&self.pool).await?)
    }
}
