//! Jobs of the buying side: one row for each attempt to have a request answered.

use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::BuyingState;
use t4t_types::{
    Address, EncryptionKey, JobId, ModelId, Overlay, RequestId, RoutingId, SwarmRef, TokenPrices,
    UnixSeconds, Xbzz,
};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

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
    /// The request, sealed to the provider, while somebody may need it.
    pub sealed_request: Option<Bytes>,
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

/// What a step adds to a row; `None` leaves what is there.
#[derive(Clone, Debug, Default)]
pub struct BuyingChange {
    /// The job on the chain.
    pub job: Option<JobId>,
    /// Where the sealed answer lies.
    pub response_hash: Option<SwarmRef>,
    /// What the provider was paid.
    pub paid: Option<Xbzz>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Forgets the job on the chain, which a reorganisation took away or gave to another request.
    pub forgets_job: bool,
}

fn read(row: &SqliteRow) -> Result<BuyingJob, StoreError> {
    let attempt =
        u32::try_from(row.count("attempt")?).map_err(|_| StoreError::Damaged { column: "attempt" })?;
    Ok(BuyingJob {
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
        sealed_request: row.try_get::<Option<Vec<u8>>, _>("sealed_request")?.map(Bytes::from),
        job: row.maybe_id("job")?,
        response_hash: row.maybe_id("response_hash")?,
        paid: row.maybe_amount("paid")?,
        reason: row.try_get("reason")?,
        created_at_ms: row.count("created_at")?,
        explored: row.try_get("explored")?,
    })
}

/// Whether the place of a refusal's reason is no answer's place any more.
fn takes_refusal_back(from: BuyingState, to: BuyingState) -> bool {
    from == BuyingState::Refused && to != from
}

impl BuyingJob {
    /// What the row is after [`Store::buying_move`] to this state.
    #[must_use]
    pub fn moved(mut self, to: BuyingState, change: BuyingChange) -> Self {
        if takes_refusal_back(self.state, to) {
            self.response_hash = None;
        } else {
            self.response_hash = change.response_hash.or(self.response_hash);
        }
        self.job = if change.forgets_job { None } else { change.job.or(self.job) };
        self.paid = if to.is_final() { change.paid.or(self.paid) } else { None };
        self.reason = change.reason.or(self.reason);
        self.state = to;
        self
    }
}

fn read_all(rows: &[SqliteRow]) -> Result<Vec<BuyingJob>, StoreError> {
    rows.iter().map(read).collect()
}

impl Store {
    /// Stores the intent to buy, before anything leaves the house.
    ///
    /// # Errors
    /// The attempt exists already, or the database can't be used.
    pub async fn buying_insert(&self, job: &BuyingJob) -> Result<(), StoreError> {
        let sql = "INSERT INTO buying_jobs (request_id, attempt, state, provider, provider_key, provider_overlay, \
                   model, input_price, output_price, request_hash, routing_id, max_payment, delivery_deadline, \
                   sealed_request, created_at, updated_at, explored) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
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
            .bind(job.sealed_request.as_deref())
            .bind(integer(job.created_at_ms))
            .bind(integer(job.created_at_ms))
            .bind(job.explored)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Moves an attempt from one state to another and keeps what was learnt; what is not over is not paid.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer in `from`; or the database can't be used.
    pub async fn buying_move(
        &self,
        id: (RequestId, u32),
        from: BuyingState,
        to: BuyingState,
        change: &BuyingChange,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE buying_jobs SET state = ?, job = CASE WHEN ? THEN NULL ELSE coalesce(?, job) END, \
                   response_hash = CASE WHEN ? THEN NULL ELSE coalesce(?, response_hash) END, \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, paid) END, \
                   reason = coalesce(?, reason), updated_at = ?, \
                   sealed_request = CASE WHEN ? THEN NULL ELSE sealed_request END \
                   WHERE request_id = ? AND attempt = ? AND state = ?";
        let done = sqlx::query(sql)
            .bind(to.as_str())
            .bind(change.forgets_job)
            .bind(change.job.map(|job| job.as_bytes().to_vec()))
            .bind(takes_refusal_back(from, to))
            .bind(change.response_hash.map(|hash| hash.as_bytes().to_vec()))
            .bind(!to.is_final())
            .bind(change.paid.map(|paid| paid.to_be_bytes().to_vec()))
            .bind(&change.reason)
            .bind(integer(now_ms))
            .bind(to == BuyingState::Delivered || to.is_final())
            .bind(id.0.as_bytes().as_slice())
            .bind(id.1)
            .bind(from.as_str())
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        let what = format!("attempt {} of request {}", id.1, id.0);
        Err(StoreError::Conflict { what, expected: from.to_string() })
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

    /// Every attempt that has not come to its end, oldest first; without the sealed requests, which may be large.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_open(&self) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT request_id, attempt, state, provider, provider_key, provider_overlay, model, input_price, \
                   output_price, request_hash, max_payment, delivery_deadline, NULL AS sealed_request, job, \
                   response_hash, paid, reason, created_at, explored FROM buying_jobs \
                   WHERE state IN ('planned', 'posted', 'acked', 'delivered') ORDER BY created_at";
        read_all(&sqlx::query(sql).fetch_all(&self.pool).await?)
    }

    /// Every attempt planned at `since_ms` or later; without the sealed requests.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn buying_list_since(&self, since_ms: u64) -> Result<Vec<BuyingJob>, StoreError> {
        let sql = "SELECT request_id, attempt, state, provider, provider_key, provider_overlay, model, input_price, \
                   output_price, request_hash, max_payment, delivery_deadline, NULL AS sealed_request, job, \
                   response_hash, paid, reason, created_at, explored FROM buying_jobs WHERE created_at >= ?";
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
mod tests {
    use super::*;

    fn planned() -> BuyingJob {
        BuyingJob {
            request_id: RequestId::new([1; 32]),
            attempt: 1,
            state: BuyingState::Planned,
            provider: Address::new([2; 20]),
            provider_key: EncryptionKey::new([3; 32]),
            provider_overlay: Overlay::new([4; 32]),
            model: "m".parse().unwrap(),
            prices: TokenPrices { input: Xbzz::from_whole(1000), output: Xbzz::MAX },
            request_hash: SwarmRef::new([5; 32]),
            max_payment: Xbzz::from_whole(5000),
            delivery_deadline: UnixSeconds::new(u64::MAX / 2),
            sealed_request: Some(vec![9; 100].into()),
            job: None,
            response_hash: None,
            paid: None,
            reason: None,
            created_at_ms: 7,
            explored: true,
        }
    }

    #[tokio::test]
    async fn a_row_comes_back_as_it_was_stored_and_moves_only_from_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let row = planned();
        store.buying_insert(&row).await.unwrap();
        assert!(store.buying_insert(&row).await.is_err(), "one row an attempt");
        let id = (row.request_id, row.attempt);
        assert_eq!(store.buying_by_attempt(id).await.unwrap(), Some(row.clone()));

        let change = BuyingChange { job: Some(JobId::new([8; 32])), ..BuyingChange::default() };
        let (planned, posted) = (BuyingState::Planned, BuyingState::Posted);
        store.buying_move(id, planned, posted, &change, 8).await.unwrap();
        let again = store.buying_move(id, planned, posted, &change, 9).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));

        let paid = BuyingChange { paid: Some(Xbzz::from_whole(4000)), ..BuyingChange::default() };
        store.buying_move(id, posted, BuyingState::Claimed, &paid, 9).await.unwrap();
        let ended = store.buying_by_job(JobId::new([8; 32])).await.unwrap().unwrap();
        assert_eq!(ended.paid, Some(Xbzz::from_whole(4000)));
        assert_eq!(ended.sealed_request, None, "nobody needs it any more");
        assert!(store.buying_list_open().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_a_reorganisation_took_back_is_neither_paid_nor_the_job_that_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let row = planned();
        store.buying_insert(&row).await.unwrap();
        let id = (row.request_id, row.attempt);
        let ended = BuyingChange {
            job: Some(JobId::new([8; 32])),
            response_hash: Some(SwarmRef::new([6; 32])),
            paid: Some(Xbzz::from_whole(4000)),
            ..BuyingChange::default()
        };
        let forgotten = BuyingChange { forgets_job: true, ..BuyingChange::default() };
        for (end, after, answer) in [
            (BuyingState::Claimed, BuyingState::Delivered, Some(SwarmRef::new([6; 32]))),
            (BuyingState::Refused, BuyingState::Posted, None),
        ] {
            let before = store.buying_by_attempt(id).await.unwrap().unwrap();
            store.buying_move(id, before.state, end, &ended, 8).await.unwrap();
            let over = store.buying_by_attempt(id).await.unwrap().unwrap();
            store.buying_move(id, end, after, &forgotten, 9).await.unwrap();
            let open = store.buying_by_attempt(id).await.unwrap().unwrap();
            assert_eq!((open.job, open.paid, open.response_hash), (None, None, answer));
            let told = over.moved(after, forgotten.clone());
            assert_eq!((told.job, told.paid, told.response_hash), (None, None, answer));
        }
    }
}
