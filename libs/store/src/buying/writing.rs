//! Storing and moving rows of the buying side.

use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_types::{RequestId, SwarmRef};

use super::{BuyingJob, takes_refusal_back};
use crate::codec::integer;
use crate::{Store, StoreError, sealed};

impl Store {
    /// Stores the intent to buy and the request, sealed to the provider, before anything leaves the house.
    ///
    /// # Errors
    /// The attempt exists already, or the database can't be used.
    pub async fn buying_insert(&self, job: &BuyingJob, sealed_request: &[u8]) -> Result<(), StoreError> {
        let market = self.market()?;
        let mut work = self.pool.begin().await?;
        let sql = "INSERT INTO buying_jobs (market, request_id, attempt, state, provider, provider_key, provider_overlay, \
                   model, input_price, output_price, request_hash, routing_id, max_payment, delivery_deadline, \
                   created_at, updated_at, explored) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        sqlx::query(sql)
            .bind(market)
            .bind(job.request_id.as_bytes().as_slice())
            .bind(job.attempt)
            .bind(job.state.as_str())
            .bind(job.provider.as_bytes().as_slice())
            .bind(job.provider_key.as_bytes().as_slice())
            .bind(job.provider_overlay.as_bytes().as_slice())
            .bind(job.model.as_str())
            .bind(job.prices.input.to_be_bytes().to_vec())
            .bind(job.prices.output.to_be_bytes().to_vec())
            .bind(job.request_hash.as_bytes().as_slice())
            .bind(job.request_hash.routing_id().as_bytes().as_slice())
            .bind(job.max_payment.to_be_bytes().to_vec())
            .bind(integer(job.delivery_deadline.get()))
            .bind(integer(job.created_at_ms))
            .bind(integer(job.created_at_ms))
            .bind(job.explored)
            .execute(&mut *work)
            .await?;
        sealed::insert_request(&mut work, market, (job.request_id, job.attempt), sealed_request).await?;
        Ok(work.commit().await?)
    }

    /// Takes note that a request, which nothing was paid for yet, lies at another reference than was planned.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer planned; or the database can't be used.
    pub async fn buying_set_request(
        &self,
        id: (RequestId, u32),
        request_hash: SwarmRef,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE buying_jobs SET request_hash = ?, routing_id = ? \
                   WHERE request_id = ? AND attempt = ? AND state = ? AND market = ?";
        let done = sqlx::query(sql)
            .bind(request_hash.as_bytes().as_slice())
            .bind(request_hash.routing_id().as_bytes().as_slice())
            .bind(id.0.as_bytes().as_slice())
            .bind(id.1)
            .bind(BuyingState::Planned.as_str())
            .bind(self.market()?)
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 0 {
            let what = format!("request {}, attempt {}", id.0, id.1);
            return Err(StoreError::Conflict { what, expected: BuyingState::Planned.as_str().into() });
        }
        Ok(())
    }

    /// Moves an attempt from one state by a step and keeps what was learnt; what is not over is not paid. The sealed
    /// request is dropped once nobody can need it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer in `from`; [`StoreError::Illegal`] when the step can't be taken from
    /// there; or the database can't be used.
    pub async fn buying_move(
        &self,
        id: (RequestId, u32),
        from: BuyingState,
        step: &BuyingStep,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (to, market) = (from.apply(step)?, self.market()?);
        let mut work = self.pool.begin().await?;
        let sql = "UPDATE buying_jobs SET state = ?, job = CASE WHEN ? THEN NULL ELSE coalesce(?, job) END, \
                   response_hash = coalesce(?, CASE WHEN ? THEN NULL ELSE response_hash END), \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, CASE WHEN ? THEN NULL ELSE paid END) END, \
                   reason = coalesce(?, reason), updated_at = ? \
                   WHERE request_id = ? AND attempt = ? AND state = ? AND market = ?";
        let done = sqlx::query(sql)
            .bind(to.as_str())
            .bind(step.forgets_job())
            .bind(step.job().map(|job| job.as_bytes().to_vec()))
            .bind(step.response_hash().map(|hash| hash.as_bytes().to_vec()))
            .bind(takes_refusal_back(from, to))
            .bind(!to.is_final())
            .bind(step.paid().map(|paid| paid.to_be_bytes().to_vec()))
            .bind(takes_refusal_back(from, to))
            .bind(step.reason())
            .bind(integer(now_ms))
            .bind(id.0.as_bytes().as_slice())
            .bind(id.1)
            .bind(from.as_str())
            .bind(market)
            .execute(&mut *work)
            .await?;
        if done.rows_affected() != 1 {
            let what = format!("attempt {} of request {}", id.1, id.0);
            return Err(StoreError::Conflict { what, expected: from.to_string() });
        }
        if to == BuyingState::Delivered || to.is_final() {
            sealed::delete_request(&mut work, market, id).await?;
        }
        Ok(work.commit().await?)
    }
}
