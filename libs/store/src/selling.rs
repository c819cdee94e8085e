//! Jobs of the selling side.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::SellingState;
use t4t_types::{Address, JobId, ModelId, SwarmRef, TokenPrices, TokenUsage, UnixSeconds, Xbzz};

use crate::StoreError;
use crate::codec::Columns;

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
