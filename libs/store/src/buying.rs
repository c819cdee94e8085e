//! Jobs of the buying side: one row for each attempt to have a request answered.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::{BuyingState, BuyingStep, IllegalTransition};
use t4t_types::{
    Address, EncryptionKey, JobId, ModelId, Overlay, RequestId, RoutingId, SwarmRef, TokenPrices,
    UnixSeconds, Xbzz,
};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError, sealed};

/// One attempt to have a request answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuyingJob {
    /// The app's request.
    pub request_id: RequestId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How far it is.
    pub state: BuyingState,
    /// Who is to answer.
    pub provider: Address,
    /// The key the request is sealed to.
    pub provider_key: EncryptionKey,
    /// The provider's node in Swarm.
    pub provider_overlay: Overlay,
    /// The model.
    pub model: ModelId,
    /// Prices when it was planned.
    pub prices: TokenPrices,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// What goes into escrow.
    pub max_payment: Xbzz,
    /// Until when the provider must have claimed.
    pub delivery_deadline: UnixSeconds,
    /// The job on the chain, once posted.
    pub job: Option<JobId>,
    /// Where the sealed answer lies, once known.
    pub response_hash: Option<SwarmRef>,
    /// What the provider was paid.
    pub paid: Option<Xbzz>,
    /// Why it ended otherwise.
    pub reason: Option<String>,
    /// When it was planned, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether it was given to a provider that this gateway hardly knew although it knew others.
    pub explored: bool,
}

fn read(row: &SqliteRow) -> Result<BuyingJob, StoreError> {
    let attempt =
        u32::try_from(row.count("attempt")?).map_err(|_| StoreError::Damaged { column: "attempt" })?;
    let job = BuyingJob {
        request_id: row.id("request_id")?,
        attempt,
        state: row.parsed("state")?,
        provider: row.address("provider")?,
        provider_key: row.id("provider_key")?,
        provider_overlay: row.id("provider_overlay")?,
        model: row.model("model")?,
        prices: row.prices()?,
        request_hash: row.id("request_hash")?,
        max_payment: row.amount("max_payment")?,
        delivery_deadline: UnixSeconds::new(row.count("delivery_deadline")?),
        job: row.maybe_id("job")?,
        response_hash: row.maybe_id("response_hash")?,
        paid: row.maybe_amount("paid")?,
        reason: row.try_get("reason")?,
        created_at_ms: row.count("created_at")?,
        explored: row.try_get("explored")?,
    };
    check(&job)?;
    Ok(job)
}

/// Money is read only from a row that says what its state owns.
fn check(job: &BuyingJob) -> Result<(), StoreError> {
    let is_right = match job.state {
        BuyingState::Claimed => true,
        BuyingState::Refused => job.paid == Some(Xbzz::ZERO),
        _ => job.paid.is_none(),
    };
    if !is_right {
        return Err(StoreError::Damaged { column: "paid" });
    }
    if job.state == BuyingState::NotPosted && job.job.is_some() {
        return Err(StoreError::Damaged { column: "job" });
    }
    Ok(())
}

/// Whether a refusal is none any more: the place of its reason is no answer's, and something may be paid.
fn takes_refusal_back(from: BuyingState, to: BuyingState) -> bool {
    from == BuyingState::Refused && to != from
}

impl BuyingJob {
    /// What the row is after [`Store::buying_move`] by a step.
    ///
    /// # Errors
    /// The step can't be taken from the row's state.
    pub fn after(&self, step: &BuyingStep) -> Result<Self, IllegalTransition> {
        let state = self.state.apply(step)?;
        // What a refusal told holds only while it is one.
        let (kept_hash, kept_paid) = if takes_refusal_back(self.state, state) {
            (None, None)
        } else {
            (self.response_hash, self.paid)
        };
        Ok(Self {
            state,
            response_hash: step.response_hash().or(kept_hash),
            job: if step.forgets_job() { None } else { step.job().or(self.job) },
            paid: if state.is_final() { step.paid().or(kept_paid) } else { None },
            reason: step.reason().map(str::to_owned).or_else(|| self.reason.clone()),
            ..self.clone()
        })
    }
}

fn read_all(rows: &[SqliteRow]) -> Result<Vec<BuyingJob>, StoreError> {
    rows.iter().map(read).collect()
}

impl Store {
    /// Stores the intent to buy and the request, sealed to the provider, before anything leaves the house.
    ///
    /// # Errors
    /// The attempt exists already, or the database can't be used.
    pub async fn buying_insert(&self, job: &BuyingJob, sealed_request: &[u8]) -> Result<(), StoreError> {
        let mut work = self.pool.begin().await?;
        let sql = "INSERT INTO buying_jobs (request_id, attempt, state, provider, provider_key, provider_overlay, \
                   model, input_price, output_price, request_hash, routing_id, max_payment, delivery_deadline, \
                   created_at, updated_at, explored) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        sqlx::query(sql)
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
        sealed::insert_request(&mut work, (job.request_id, job.attempt), sealed_request).await?;
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
                   WHERE request_id = ? AND attempt = ? AND state = ?";
        let done = sqlx::query(sql)
            .bind(request_hash.as_bytes().as_slice())
            .bind(request_hash.routing_id().as_bytes().as_slice())
            .bind(id.0.as_bytes().as_slice())
            .bind(id.1)
            .bind(BuyingState::Planned.as_str())
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
        let to = from.apply(step)?;
        let mut work = self.pool.begin().await?;
        let sql = "UPDATE buying_jobs SET state = ?, job = CASE WHEN ? THEN NULL ELSE coalesce(?, job) END, \
                   response_hash = coalesce(?, CASE WHEN ? THEN NULL ELSE response_hash END), \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, CASE WHEN ? THEN NULL ELSE paid END) END, \
                   reason = coalesce(?, reason), updated_at = ? \
                   WHERE request_id = ? AND attempt = ? AND state = ?";
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
            .execute(&mut *work)
            .await?;
        if done.rows_affected() != 1 {
            let what = format!("attempt {} of request {}", id.1, id.0);
            return Err(StoreError::Conflict { what, expected: from.to_string() });
        }
        if to == BuyingState::Delivered || to.is_final() {
            sealed::delete_request(&mut work, id).await?;
        }
        Ok(work.commit().await?)
    }

    /// One attempt.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_attempt(&self, id: (RequestId, u32)) -> Result<Option<BuyingJob>, StoreError> {
        let row = sqlx::query("SELECT * FROM buying_jobs WHERE request_id = ? AND attempt = ?")
            .bind(id.0.as_bytes().as_slice())
            .bind(id.1)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// All attempts to answer a request, first to last.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_request(&self, request_id: RequestId) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE request_id = ? ORDER BY attempt";
        read_all(&sqlx::query(sql).bind(request_id.as_bytes().as_slice()).fetch_all(&self.pool).await?)
    }

    /// The attempt that a job on the chain belongs to.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_job(&self, job: JobId) -> Result<Option<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE job = ?";
        let row = sqlx::query(sql).bind(job.as_bytes().as_slice()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// The attempt that messages name so.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_by_routing_id(&self, routing_id: RoutingId) -> Result<Option<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE routing_id = ?";
        let row = sqlx::query(sql).bind(routing_id.as_bytes().as_slice()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }

    /// Every attempt that has not come to its end, oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_open(&self) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE state IN ('planned', 'posted', 'acked', 'delivered') ORDER BY created_at";
        read_all(&sqlx::query(sql).fetch_all(&self.pool).await?)
    }

    /// Every attempt planned at `since_ms` or later.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_since(&self, since_ms: u64) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs WHERE created_at >= ?";
        read_all(&sqlx::query(sql).bind(integer(since_ms)).fetch_all(&self.pool).await?)
    }

    /// The newest attempts, newest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_recent(&self, limit: u32) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT * FROM buying_jobs ORDER BY created_at DESC LIMIT ?";
        read_all(&sqlx::query(sql).bind(limit).fetch_all(&self.pool).await?)
    }
}

#[cfg(test)]
mod tests;
