//! Jobs of the selling side.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use t4t_protocol::job::SellingState;
use t4t_types::{Address, JobId, ModelId, SwarmRef, TokenPrices, TokenUsage, UnixSeconds, Xbzz};

use crate::codec::{Columns, integer};
use crate::{Store, StoreError};

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
    /// The answer, sealed to the client, while somebody may need it.
    pub sealed_answer: Option<Vec<u8>>,
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

/// What a step adds to a row; `None` leaves what is there.
#[derive(Clone, Debug, Default)]
pub struct SellingChange {
    /// The sealed answer.
    pub sealed_answer: Option<Vec<u8>>,
    /// Where it lies.
    pub response_hash: Option<SwarmRef>,
    /// What it took.
    pub usage: Option<TokenUsage>,
    /// What it costs.
    pub payment: Option<Xbzz>,
    /// What was paid.
    pub paid: Option<Xbzz>,
    /// Why it ended.
    pub reason: Option<String>,
    /// Whether a backend is about to be asked.
    pub run_begins: bool,
    /// The request it is about; nothing changes if the job's id is another request's by now.
    pub of_request: Option<SwarmRef>,
}

fn read(row: &SqliteRow) -> Result<SellingJob, StoreError> {
    let usage = match (row.maybe_count("prompt_tokens")?, row.maybe_count("completion_tokens")?) {
        (Some(prompt), Some(completion)) => Some(TokenUsage { prompt, completion }),
        _ => None,
    };
    Ok(SellingJob {
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
        sealed_answer: row.try_get("sealed_answer")?,
        response_hash: row.maybe_id("response_hash")?,
        usage,
        payment: row.maybe_amount("payment")?,
        paid: row.maybe_amount("paid")?,
        reason: row.try_get("reason")?,
        created_at_ms: row.count("created_at")?,
    })
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
        let sql = "INSERT INTO selling_jobs (job, state, client, request_hash, model, max_payment, input_price, \
                   output_price, ack_deadline, delivery_deadline, reason, created_at, updated_at) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
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
            .bind(&job.reason)
            .bind(integer(job.created_at_ms))
            .bind(integer(job.created_at_ms))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves a job from one state to another and keeps what was learnt; what is not over is not paid.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is no longer in `from`; or the database can't be used.
    pub async fn selling_move(
        &self,
        job: JobId,
        from: SellingState,
        to: SellingState,
        change: &SellingChange,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE selling_jobs SET state = ?, runs = runs + ?, sealed_answer = coalesce(?, sealed_answer), \
                   response_hash = coalesce(?, response_hash), prompt_tokens = coalesce(?, prompt_tokens), \
                   completion_tokens = coalesce(?, completion_tokens), payment = coalesce(?, payment), \
                   paid = CASE WHEN ? THEN NULL ELSE coalesce(?, paid) END, reason = coalesce(?, reason), \
                   updated_at = ? \
                   WHERE job = ? AND state = ? AND request_hash = coalesce(?, request_hash)";
        let done = sqlx::query(sql)
            .bind(to.as_str())
            .bind(change.run_begins)
            .bind(&change.sealed_answer)
            .bind(change.response_hash.map(|hash| hash.as_bytes().to_vec()))
            .bind(change.usage.map(|usage| integer(usage.prompt)))
            .bind(change.usage.map(|usage| integer(usage.completion)))
            .bind(change.payment.map(|payment| payment.to_be_bytes().to_vec()))
            .bind(!to.is_final())
            .bind(change.paid.map(|paid| paid.to_be_bytes().to_vec()))
            .bind(&change.reason)
            .bind(integer(now_ms))
            .bind(job.as_bytes().as_slice())
            .bind(from.as_str())
            .bind(change.of_request.map(|hash| hash.as_bytes().to_vec()))
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 1 {
            return Ok(());
        }
        Err(StoreError::Conflict { what: format!("job {job}"), expected: from.to_string() })
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
        sqlx::query(sql)
            .bind(aside.as_bytes().as_slice())
            .bind(integer(now_ms))
            .bind(job.as_bytes().as_slice())
            .bind(request_hash.as_bytes().as_slice())
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
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
             ORDER BY state = 'lost', sealed_answer IS NULL, created_at LIMIT 1";
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
             AND sealed_answer IS NOT NULL AND payment IS NOT NULL ORDER BY created_at LIMIT 1";
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

    /// Drops the sealed answers of settled jobs that were last touched before `before_ms`.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn selling_answers_expire(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "UPDATE selling_jobs SET sealed_answer = NULL WHERE sealed_answer IS NOT NULL \
                   AND state IN ('claimed', 'refused', 'lost') AND updated_at < ?";
        Ok(sqlx::query(sql).bind(integer(before_ms)).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_is_stored_once_and_counts_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
        let row = SellingJob {
            job: JobId::new([1; 32]),
            state: SellingState::Accepted,
            client: Address::new([2; 20]),
            request_hash: SwarmRef::new([3; 32]),
            model: "m".parse().unwrap(),
            max_payment: Xbzz::from_whole(1000),
            prices: TokenPrices::default(),
            ack_deadline: UnixSeconds::new(30),
            delivery_deadline: UnixSeconds::new(900),
            runs: 0,
            sealed_answer: None,
            response_hash: None,
            usage: None,
            payment: None,
            paid: None,
            reason: None,
            created_at_ms: 1,
        };
        assert!(store.selling_insert(&row).await.unwrap());
        assert!(!store.selling_insert(&row).await.unwrap(), "an event told twice is one job");
        let begins = SellingChange { run_begins: true, ..SellingChange::default() };
        let (accepted, working) = (SellingState::Accepted, SellingState::Working);
        store.selling_move(row.job, accepted, working, &begins, 2).await.unwrap();
        store.selling_move(row.job, working, working, &begins, 3).await.unwrap();
        let usage = TokenUsage { prompt: 5, completion: 6 };
        let answered = SellingChange {
            sealed_answer: Some(vec![1, 2]),
            usage: Some(usage),
            payment: Some(Xbzz::from_plur(9)),
            ..SellingChange::default()
        };
        store.selling_move(row.job, working, SellingState::Answered, &answered, 4).await.unwrap();
        let kept = store.selling_by_request(row.client, row.request_hash).await.unwrap().unwrap();
        assert_eq!((kept.runs, kept.usage, kept.payment), (2, Some(usage), Some(Xbzz::from_plur(9))));
        assert_eq!(kept.sealed_answer, Some(vec![1, 2]));
        assert_eq!(store.selling_list_open().await.unwrap().len(), 1);
        let other = SellingChange { of_request: Some(SwarmRef::new([9; 32])), ..SellingChange::default() };
        let answered = SellingState::Answered;
        let moved = store.selling_move(row.job, answered, SellingState::Uploaded, &other, 5).await;
        assert!(matches!(moved, Err(StoreError::Conflict { .. })), "another request's answer");

        let aside = JobId::new([7; 32]);
        store.selling_set_aside(row.job, row.request_hash, aside, 6).await.unwrap();
        assert!(store.selling_by_job(row.job).await.unwrap().is_none());
        let kept = store.selling_by_request(row.client, row.request_hash).await.unwrap().unwrap();
        assert_eq!((kept.job, kept.state), (aside, SellingState::Lost));
        assert_eq!(kept.sealed_answer, Some(vec![1, 2]), "the answer is there for the next id");
        let next = SellingJob { job: JobId::new([8; 32]), ..row.clone() };
        let found = store.selling_answered_before(&next).await.unwrap().unwrap();
        assert_eq!(found.job, aside);
        assert!(
            store.selling_answered_before(&kept).await.unwrap().is_none(),
            "its own answer is no other's"
        );
        let by_terms = |hash, deadline| store.selling_list_like(row.client, hash, deadline);
        let nothing = SwarmRef::ZERO;
        assert_eq!(by_terms(nothing, row.delivery_deadline).await.unwrap().first(), Some(&kept));
        assert_eq!(by_terms(row.request_hash, UnixSeconds::new(1)).await.unwrap(), [kept]);
        assert!(by_terms(nothing, UnixSeconds::new(1)).await.unwrap().is_empty());
    }
}
