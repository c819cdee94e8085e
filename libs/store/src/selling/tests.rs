use bytes::Bytes;

use super::*;

const USAGE: TokenUsage = TokenUsage { prompt: 5, completion: 6 };
const PAYMENT: Xbzz = Xbzz::from_plur(9);

fn accepted() -> SellingJob {
    SellingJob {
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
        response_hash: None,
        usage: None,
        payment: None,
        paid: None,
        reason: None,
        created_at_ms: 1,
    }
}

fn answered() -> SellingStep {
    SellingStep::Answered { sealed: Bytes::from_static(&[1, 2]), usage: USAGE, payment: PAYMENT }
}

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
    (folder, store)
}

/// Takes steps with the row as it is.
async fn step(store: &Store, row: &SellingJob, steps: &[SellingStep]) {
    for step in steps {
        let from = store.selling_by_job(row.job).await.unwrap().unwrap().state;
        store.selling_move(row.into(), from, step, 2).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_is_stored_once_and_counts_its_runs() {
    let (_folder, store) = store().await;
    let row = accepted();
    assert!(store.selling_insert(&row).await.unwrap());
    assert!(!store.selling_insert(&row).await.unwrap(), "an event told twice is one job");
    step(&store, &row, &[SellingStep::Began, SellingStep::Began, answered()]).await;
    let kept = store.selling_by_request(row.client, row.request_hash).await.unwrap().unwrap();
    assert_eq!((kept.runs, kept.usage, kept.payment), (2, Some(USAGE), Some(PAYMENT)));
    assert_eq!(store.selling_sealed_answer(row.job).await.unwrap().unwrap(), [1, 2].as_slice());
    assert_eq!(store.selling_list_open().await.unwrap().len(), 1);
    let other = SellingRow { job: row.job, of_request: Some(SwarmRef::new([9; 32])) };
    let uploaded = SellingStep::Uploaded { response_hash: SwarmRef::new([4; 32]) };
    let moved = store.selling_move(other, SellingState::Answered, &uploaded, 5).await;
    assert!(matches!(moved, Err(StoreError::Conflict { .. })), "another request's answer");
    let early =
        store.selling_move(row.job.into(), SellingState::Answered, &SellingStep::SeenClaimed, 5).await;
    assert!(matches!(early, Err(StoreError::Illegal(_))), "nothing is claimed before it lies somewhere");
}

#[tokio::test]
async fn a_row_put_aside_keeps_its_answer_for_whoever_finds_the_request_again() {
    let (_folder, store) = store().await;
    let row = accepted();
    store.selling_insert(&row).await.unwrap();
    step(&store, &row, &[SellingStep::Began, answered()]).await;
    let aside = JobId::new([7; 32]);
    store.selling_set_aside(row.job, row.request_hash, aside, 6).await.unwrap();
    assert!(store.selling_by_job(row.job).await.unwrap().is_none());
    assert_eq!(store.selling_sealed_answer(row.job).await.unwrap(), None);
    let kept = store.selling_by_request(row.client, row.request_hash).await.unwrap().unwrap();
    assert_eq!((kept.job, kept.state), (aside, SellingState::Lost));
    assert_eq!(store.selling_sealed_answer(aside).await.unwrap().unwrap(), [1, 2].as_slice());
    let next = SellingJob { job: JobId::new([8; 32]), ..row.clone() };
    let found = store.selling_answered_before(&next).await.unwrap().unwrap();
    assert_eq!(found.job, aside);
    assert!(store.selling_answered_before(&kept).await.unwrap().is_none(), "its own answer is no other's");
    let by_terms = |hash, deadline| store.selling_list_like(row.client, hash, deadline);
    let nothing = SwarmRef::ZERO;
    assert_eq!(by_terms(nothing, row.delivery_deadline).await.unwrap().first(), Some(&kept));
    assert_eq!(by_terms(row.request_hash, UnixSeconds::new(1)).await.unwrap(), [kept]);
    assert!(by_terms(nothing, UnixSeconds::new(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_contradicts_its_state_is_damaged_and_never_read() {
    let (_folder, store) = store().await;
    let row = accepted();
    store.selling_insert(&row).await.unwrap();
    step(&store, &row, &[SellingStep::Began, answered()]).await;
    let lies = "response_hash = zeroblob(32)";
    for (state, columns, column) in [
        ("answered", "payment = NULL", "payment"),
        ("answered", "prompt_tokens = NULL", "prompt_tokens"),
        ("uploaded", "response_hash = NULL", "response_hash"),
        ("uploaded", "response_hash = zeroblob(32), payment = NULL", "payment"),
        ("claimed", "response_hash = zeroblob(32), payment = NULL", "payment"),
        ("lost", "paid = zeroblob(16)", "paid"),
    ] {
        let reset = format!(
            "UPDATE selling_jobs SET state = 'lost', payment = zeroblob(16), prompt_tokens = 1, {lies}"
        );
        let sql = format!("{reset}, paid = NULL; UPDATE selling_jobs SET state = '{state}', {columns}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&store.pool).await.unwrap();
        let read = store.selling_by_job(row.job).await;
        assert!(matches!(read, Err(StoreError::Damaged { column: it }) if it == column), "{state}: {read:?}");
    }
    let unpaid = SellingJob { state: SellingState::Claimed, job: JobId::new([5; 32]), ..row };
    let stored = store.selling_insert(&unpaid).await;
    assert!(matches!(stored, Err(StoreError::Damaged { .. })), "a claim without a payment can't be written");
}
