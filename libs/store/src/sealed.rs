//! Sealed payloads, beside the rows of the jobs they belong to: a row is read often, and its payload once or twice.

use bytes::Bytes;
use sqlx::{Row, Sqlite, Transaction};
use t4t_types::{JobId, RequestId};

use crate::codec::integer;
use crate::{Store, StoreError};

/// Part of the transaction that stores an attempt.
pub(crate) async fn insert_request(
    work: &mut Transaction<'_, Sqlite>,
    id: (RequestId, u32),
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO buying_sealed_requests (request_id, attempt, sealed) VALUES (?, ?, ?)";
    sqlx::query(sql).bind(id.0.as_bytes().as_slice()).bind(id.1).bind(sealed).execute(&mut **work).await?;
    Ok(())
}

/// Part of the transaction after which nobody needs the request.
pub(crate) async fn delete_request(
    work: &mut Transaction<'_, Sqlite>,
    id: (RequestId, u32),
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM buying_sealed_requests WHERE request_id = ? AND attempt = ?")
        .bind(id.0.as_bytes().as_slice())
        .bind(id.1)
        .execute(&mut **work)
        .await?;
    Ok(())
}

/// Part of the step that brings an answer, or a refusal's reason.
pub(crate) async fn set_answer(
    work: &mut Transaction<'_, Sqlite>,
    job: JobId,
    sealed: &[u8],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO selling_sealed_answers (job, sealed) VALUES (?, ?) \
               ON CONFLICT (job) DO UPDATE SET sealed = excluded.sealed";
    sqlx::query(sql).bind(job.as_bytes().as_slice()).bind(sealed).execute(&mut **work).await?;
    Ok(())
}

/// Part of what gives a job's row another id.
pub(crate) async fn move_answer(
    work: &mut Transaction<'_, Sqlite>,
    from: JobId,
    to: JobId,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM selling_sealed_answers WHERE job = ?")
        .bind(to.as_bytes().as_slice())
        .execute(&mut **work)
        .await?;
    sqlx::query("UPDATE selling_sealed_answers SET job = ? WHERE job = ?")
        .bind(to.as_bytes().as_slice())
        .bind(from.as_bytes().as_slice())
        .execute(&mut **work)
        .await?;
    Ok(())
}

impl Store {
    /// The request of an attempt, sealed to its provider, while somebody may need it.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_sealed_request(&self, id: (RequestId, u32)) -> Result<Option<Bytes>, StoreError> {
        let sql = "SELECT sealed FROM buying_sealed_requests WHERE request_id = ? AND attempt = ?";
        let row =
            sqlx::query(sql).bind(id.0.as_bytes().as_slice()).bind(id.1).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get::<Vec<u8>, _>("sealed")).transpose()?.map(Bytes::from))
    }

    /// What a job's client is to be given, sealed to it, while somebody may need it: the answer, or the reason of a
    /// refusal.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_sealed_answer(&self, job: JobId) -> Result<Option<Bytes>, StoreError> {
        let sql = "SELECT sealed FROM selling_sealed_answers WHERE job = ?";
        let row = sqlx::query(sql).bind(job.as_bytes().as_slice()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get::<Vec<u8>, _>("sealed")).transpose()?.map(Bytes::from))
    }

    /// Drops the sealed answers of settled jobs that were last touched before `before_ms`.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_answers_expire(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM selling_sealed_answers WHERE EXISTS (SELECT 1 FROM selling_jobs j \
                   WHERE j.job = selling_sealed_answers.job AND j.state IN ('claimed', 'refused', 'lost') \
                   AND j.updated_at < ?)";
        Ok(sqlx::query(sql).bind(integer(before_ms)).execute(&self.pool).await?.rows_affected())
    }
}
