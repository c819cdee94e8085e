//! Storing and moving rows of the selling side.

use t4t_protocol::job::{SellingState, SellingStep};
use t4t_types::{JobId, SwarmRef};

use super::{SellingJob, SellingRow, check};
use crate::codec::integer;
use crate::{Store, StoreError, sealed};

impl Store {
    /// Stores a job that was found on the chain; `false` means that it was stored before.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_insert(&self, job: &SellingJob) -> Result<bool, StoreError> {
        check(job)?;
        let sql = "INSERT INTO selling_jobs (market, job, state, client, request_hash, model, max_payment, input_price, \
                   output_price, ack_deadline, delivery_deadline, response_hash, prompt_tokens, completion_tokens, \
                   payment, paid, reason, created_at, updated_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let done = sqlx::query(sql)
            .bind(self.market()?)
            .bind(job.job.as_bytes().as_slice())
            .bind(job.state.as_str())
            .bind(job.client.as_bytes().as_slice())
            .bind(job.request_hash.as_bytes().as_slice())
            .bind(job.model.as_str())
            .bind(job.max_payment.to_be_bytes().to_vec())
            .bind(job.prices.input.to_be_bytes().to_vec())
            .bind(job.prices.output.to_be_bytes().to_vec())
            .bind(integer(job.ack_deadline.get()))
            .bind(integer(job.delivery_deadline.get()))
            .bind(job.response_hash.map(|hash| hash.as_bytes().to_vec()))
            .bind(job.usage.map(|usage| integer(usage.prompt)))
            .bind(job.usage.map(|usage| integer(usage.completion)))
            .bind(job.payment.map(|payment| payment.to_be_bytes().to_vec()))
            .bind(job.paid.map(|paid| paid.to_be_bytes().to_vec()))
            .bind(&job.reason)
            .bind(integer(job.created_at_ms))
            .bind(integer(job.created_at_ms))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves a job from one state by a step and keeps what was learnt, a sealed payload included; what is not over is not
    /// paid.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer in `from`; [`StoreError::Illegal`] when the step can't be taken from
    /// there; or the database can't be used.
    pub async fn selling_move(
        &self,
        row: SellingRow,
        from: SellingState,
        step: &SellingStep,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (to, bill, market) = (from.apply(step)?, step.bill(), self.market()?);
        let mut work = self.pool.begin().await?;
        let sql = "UPDATE selling_jobs SET state = ?, runs = runs + ?, \
                   response_hash = coalesce(?, response_hash), prompt_tokens = coalesce(?, prompt_tokens), \
                   completion_tokens = coalesce(?, completion_tokens), payment = coalesce(?, payment), \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, paid) END, reason = coalesce(?, reason), \
                   updated_at = ? \
                   WHERE job = ? AND state = ? AND request_hash = coalesce(?, request_hash) AND market = ?";
        let done = sqlx::query(sql)
            .bind(to.as_str())
            .bind(matches!(step, SellingStep::Began))
            .bind(step.response_hash().map(|hash| hash.as_bytes().to_vec()))
            .bind(bill.map(|(usage, _)| integer(usage.prompt)))
            .bind(bill.map(|(usage, _)| integer(usage.completion)))
            .bind(bill.map(|(_, payment)| payment.to_be_bytes().to_vec()))
            .bind(!to.is_final())
            .bind(step.paid().map(|paid| paid.to_be_bytes().to_vec()))
            .bind(step.reason())
            .bind(integer(now_ms))
            .bind(row.job.as_bytes().as_slice())
            .bind(from.as_str())
            .bind(row.of_request.map(|hash| hash.as_bytes().to_vec()))
            .bind(market)
            .execute(&mut *work)
            .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict {
                what: format!("job {}", row.job),
                expected: from.to_string(),
            });
        }
        if let Some(sealed) = step.sealed() {
            sealed::set_answer(&mut work, market, row.job, sealed).await?;
        }
        Ok(work.commit().await?)
    }

    /// Keeps a job's row under an id that is no job's, because a reorganisation gave its own to another request. It is
    /// lost, with its answer for whoever finds the request again.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_set_aside(
        &self,
        job: JobId,
        request_hash: SwarmRef,
        aside: JobId,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let market = self.market()?;
        let mut change = self.pool.begin().await?;
        // The same may have happened before.
        sqlx::query("DELETE FROM selling_jobs WHERE job = ? AND market = ?")
            .bind(aside.as_bytes().as_slice())
            .bind(market)
            .execute(&mut *change)
            .await?;
        let sql = "UPDATE selling_jobs SET job = ?, state = 'lost', paid = NULL, \
                   reason = 'a reorganisation gave its id to another request', updated_at = ? \
                   WHERE job = ? AND request_hash = ? AND market = ?";
        let done = sqlx::query(sql)
            .bind(aside.as_bytes().as_slice())
            .bind(integer(now_ms))
            .bind(job.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .bind(market)
            .execute(&mut *change)
            .await?;
        if done.rows_affected() == 1 {
            sealed::move_answer(&mut change, market, (job, aside)).await?;
        }
        Ok(change.commit().await?)
    }
}
