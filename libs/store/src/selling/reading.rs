//! Reading rows of the selling side.

use sqlx::sqlite::SqliteRow;
use t4t_types::{Address, JobId, SwarmRef, UnixSeconds};

use super::{SellingJob, read};
use crate::codec::integer;
use crate::{Store, StoreError};

fn read_all(rows: &[SqliteRow]) -> Result<Vec<SellingJob>, StoreError> {
    rows.iter().map(read).collect()
}

impl Store {
    /// One job.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_by_job(&self, job: JobId) -> Result<Option<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE job = ? AND market = coalesce(?, market)";
        let row = sqlx::query(sql)
            .bind(job.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A client's job for a sealed request: one that is not lost before one that is, one with an answer before one
    /// without, the first one posted before the others.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_by_request(
        &self,
        client: Address,
        request_hash: SwarmRef,
    ) -> Result<Option<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs j WHERE request_hash = ? AND client = ? \
                   AND market = coalesce(?, market) ORDER BY state = 'lost', NOT EXISTS \
                   (SELECT 1 FROM selling_sealed_answers a WHERE a.job = j.job AND a.market = j.market), \
                   created_at LIMIT 1";
        let row = sqlx::query(sql)
            .bind(request_hash.as_bytes().as_slice())
            .bind(client.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Another row of the same client's same request that has an answer: a reorganisation gave the request a new id.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_answered_before(&self, job: &SellingJob) -> Result<Option<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs j WHERE request_hash = ? AND client = ? AND job <> ? \
                   AND market = coalesce(?, market) AND payment IS NOT NULL AND EXISTS \
                   (SELECT 1 FROM selling_sealed_answers a WHERE a.job = j.job AND a.market = j.market) \
                   ORDER BY created_at LIMIT 1";
        let row = sqlx::query(sql)
            .bind(job.request_hash.as_bytes().as_slice())
            .bind(job.client.as_bytes().as_slice())
            .bind(job.job.as_bytes().as_slice())
            .bind(self.market)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// A client's jobs with a request or a deadline, in whatever state: those that are not lost before those that are,
    /// the oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_list_like(
        &self,
        client: Address,
        request_hash: SwarmRef,
        delivery_deadline: UnixSeconds,
    ) -> Result<Vec<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE client = ? AND (request_hash = ? OR delivery_deadline = ?) \
                   AND market = coalesce(?, market) ORDER BY state = 'lost', created_at";
        let rows = sqlx::query(sql)
            .bind(client.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .bind(integer(delivery_deadline.get()))
            .bind(self.market)
            .fetch_all(&self.pool)
            .await?;
        read_all(&rows)
    }

    /// Every job that has not come to its end, oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_list_open(&self) -> Result<Vec<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE state NOT IN ('claimed', 'refused', 'lost') \
                   AND market = coalesce(?, market) ORDER BY created_at";
        read_all(&sqlx::query(sql).bind(self.market).fetch_all(&self.pool).await?)
    }

    /// The newest jobs, newest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_list_recent(&self, limit: u32) -> Result<Vec<SellingJob>, StoreError> {
        let sql =
            "SELECT * FROM selling_jobs WHERE market = coalesce(?, market) ORDER BY created_at DESC LIMIT ?";
        read_all(&sqlx::query(sql).bind(self.market).bind(limit).fetch_all(&self.pool).await?)
    }
}
