//! Jobs of the buying side: one row for each attempt to have a request answered.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::{BuyingState, BuyingStep, IllegalTransition};
use t4t_types::{
    Address, EncryptionKey, JobId, ModelId, Overlay, RequestId, SwarmRef, TokenPrices, UnixSeconds, Xbzz,
};

use crate::StoreError;
use crate::codec::Columns;

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
    /// What the row is after [`Store::buying_move`](crate::Store::buying_move) by a step.
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
