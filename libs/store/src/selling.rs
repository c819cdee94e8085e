//! Jobs of the selling side.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_types::{Address, JobId, ModelId, SwarmRef, TokenPrices, TokenUsage, UnixSeconds, Xbzz};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError, sealed};

/// A job that this provider was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SellingJob {
    /// The job.
    pub job: JobId,
    /// How far it is.
    pub state: SellingState,
    /// Who pays.
    pub client: Address,
    /// Where the sealed request lies.
    pub request_hash: SwarmRef,
    /// The model.
    pub model: ModelId,
    /// What is in escrow.
    pub max_payment: Xbzz,
    /// Prices when it was first seen.
    pub prices: TokenPrices,
    /// Until when it must be acknowledged.
    pub ack_deadline: UnixSeconds,
    /// Until when it must be claimed.
    pub delivery_deadline: UnixSeconds,
    /// How often a backend was asked.
    pub runs: u32,
    /// Where the sealed answer lies, once uploaded.
    pub response_hash: Option<SwarmRef>,
    /// What the answer took.
    pub usage: Option<TokenUsage>,
    /// What the answer costs.
    pub payment: Option<Xbzz>,
    /// What the chain says was paid.
    pub paid: Option<Xbzz>,
    /// Why it ended otherwise.
    pub reason: Option<String>,
    /// When it was first seen, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// Which row is moved.
#[derive(Clone, Copy, Debug)]
pub struct SellingRow {
    /// The job.
    pub job: JobId,
    /// Its request, where it counts: nothing changes if the job's id is another request's by now.
    pub of_request: Option<SwarmRef>,
}

impl From<JobId> for SellingRow {
    fn from(job: JobId) -> Self {
        Self { job, of_request: None }
    }
}

impl From<&SellingJob> for SellingRow {
    fn from(row: &SellingJob) -> Self {
        Self { job: row.job, of_request: Some(row.request_hash) }
    }
}

impl SellingJob {
    /// What is claimed for it: where its answer lies, and what that costs.
    ///
    /// # Errors
    /// It is not as far as that.
    pub fn claim(&self) -> Result<(SwarmRef, Xbzz), StoreError> {
        let response_hash = self.response_hash.ok_or(StoreError::Damaged { column: "response_hash" })?;
        Ok((response_hash, self.payment.ok_or(StoreError::Damaged { column: "payment" })?))
    }
}

/// Money is read only from a row that says what its state owns.
fn check(job: &SellingJob) -> Result<(), StoreError> {
    let missing = |column| Err(StoreError::Damaged { column });
    match job.state {
        SellingState::Answered if job.payment.is_none() => missing("payment"),
        SellingState::Answered if job.usage.is_none() => missing("prompt_tokens"),
        SellingState::Uploaded | SellingState::Claimed => job.claim().map(drop),
        _ => Ok(()),
    }?;
    let is_right = match job.state {
        SellingState::Claimed => true,
        SellingState::Refused => job.paid.is_none_or(Xbzz::is_zero),
        _ => job.paid.is_none(),
    };
    if is_right { Ok(()) } else { missing("paid") }
}

fn read(row: &SqliteRow) -> Result<SellingJob, StoreError> {
    let usage = match (row.maybe_count("prompt_tokens")?, row.maybe_count("completion_tokens")?) {
        (Some(prompt), Some(completion)) => Some(TokenUsage { prompt, completion }),
        _ => None,
    };
    let job = SellingJob {
        job: row.id("job")?,
        state: row.parsed("state")?,
        client: row.address("client")?,
        request_hash: row.id("request_hash")?,
        model: row.model("model")?,
        max_payment: row.amount("max_payment")?,
        prices: row.prices()?,
        ack_deadline: UnixSeconds::new(row.count("ack_deadline")?),
        delivery_deadline: UnixSeconds::new(row.count("delivery_deadline")?),
        runs: u32::try_from(row.count("runs")?).map_err(|_| StoreError::Damaged { column: "runs" })?,
        response_hash: row.maybe_id("response_hash")?,
        usage,
        payment: row.maybe_amount("payment")?,
        paid: row.maybe_amount("paid")?,
        reason: row.try_get("reason")?,
        created_at_ms: row.count("created_at")?,
    };
    check(&job)?;
    Ok(job)
}

fn read_all(rows: &[SqliteRow]) -> Result<Vec<SellingJob>, StoreError> {
    rows.iter().map(read).collect()
}

impl Store {
    /// Stores a job that was found on the chain; `false` means that it was stored before.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_insert(&self, job: &SellingJob) -> Result<bool, StoreError> {
        check(job)?;
        let sql = "INSERT INTO selling_jobs (job, state, client, request_hash, model, max_payment, input_price, \
                   output_price, ack_deadline, delivery_deadline, response_hash, prompt_tokens, completion_tokens, \
                   payment, paid, reason, created_at, updated_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let done = sqlx::query(sql)
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
        let (to, bill) = (from.apply(step)?, step.bill());
        let mut work = self.pool.begin().await?;
        let sql = "UPDATE selling_jobs SET state = ?, runs = runs + ?, \
                   response_hash = coalesce(?, response_hash), prompt_tokens = coalesce(?, prompt_tokens), \
                   completion_tokens = coalesce(?, completion_tokens), payment = coalesce(?, payment), \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, paid) END, reason = coalesce(?, reason), \
                   updated_at = ? \
                   WHERE job = ? AND state = ? AND request_hash = coalesce(?, request_hash)";
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
            .execute(&mut *work)
            .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Conflict {
                what: format!("job {}", row.job),
                expected: from.to_string(),
            });
        }
        if let Some(sealed) = step.sealed() {
            sealed::set_answer(&mut work, row.job, sealed).await?;
        }
        Ok(work.commit().await?)
    }

    /// One job.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_by_job(&self, job: JobId) -> Result<Option<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE job = ?";
        let row = sqlx::query(sql).bind(job.as_bytes().as_slice()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
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
        let mut change = self.pool.begin().await?;
        // The same may have happened before.
        sqlx::query("DELETE FROM selling_jobs WHERE job = ?")
            .bind(aside.as_bytes().as_slice())
            .execute(&mut *change)
            .await?;
        let sql = "UPDATE selling_jobs SET job = ?, state = 'lost', paid = NULL, \
                   reason = 'a reorganisation gave its id to another request', updated_at = ? \
                   WHERE job = ? AND request_hash = ?";
        let done = sqlx::query(sql)
            .bind(aside.as_bytes().as_slice())
            .bind(integer(now_ms))
            .bind(job.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .execute(&mut *change)
            .await?;
        if done.rows_affected() == 1 {
            sealed::move_answer(&mut change, job, aside).await?;
        }
        Ok(change.commit().await?)
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
        let sql = "SELECT * FROM selling_jobs WHERE request_hash = ? AND client = ? \
             ORDER BY state = 'lost', job NOT IN (SELECT job FROM selling_sealed_answers), created_at LIMIT 1";
        let row = sqlx::query(sql)
            .bind(request_hash.as_bytes().as_slice())
            .bind(client.as_bytes().as_slice())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Another row of the same client's same request that has an answer: a reorganisation gave the request a new id.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_answered_before(&self, job: &SellingJob) -> Result<Option<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE request_hash = ? AND client = ? AND job <> ? \
             AND job IN (SELECT job FROM selling_sealed_answers) AND payment IS NOT NULL ORDER BY created_at LIMIT 1";
        let row = sqlx::query(sql)
            .bind(job.request_hash.as_bytes().as_slice())
            .bind(job.client.as_bytes().as_slice())
            .bind(job.job.as_bytes().as_slice())
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
             ORDER BY state = 'lost', created_at";
        let rows = sqlx::query(sql)
            .bind(client.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .bind(integer(delivery_deadline.get()))
            .fetch_all(&self.pool)
            .await?;
        read_all(&rows)
    }

    /// Every job that has not come to its end, oldest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_list_open(&self) -> Result<Vec<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs WHERE state NOT IN ('claimed', 'refused', 'lost') ORDER BY created_at";
        read_all(&sqlx::query(sql).fetch_all(&self.pool).await?)
    }

    /// The newest jobs, newest first.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_list_recent(&self, limit: u32) -> Result<Vec<SellingJob>, StoreError> {
        let sql = "SELECT * FROM selling_jobs ORDER BY created_at DESC LIMIT ?";
        read_all(&sqlx::query(sql).bind(limit).fetch_all(&self.pool).await?)
    }
}

#[cfg(test)]
mod tests;
