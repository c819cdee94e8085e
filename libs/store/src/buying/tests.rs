use super::*;

const SEALED: &[u8] = &[9; 100];

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
        job: None,
        response_hash: None,
        paid: None,
        reason: None,
        created_at_ms: 7,
        explored: true,
    }
}

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_stored_and_moves_only_from_its_state() {
    let (_folder, store) = store().await;
    let row = planned();
    store.buying_insert(&row, SEALED).await.unwrap();
    assert!(store.buying_insert(&row, SEALED).await.is_err(), "one row an attempt");
    let id = (row.request_id, row.attempt);
    assert_eq!(store.buying_by_attempt(id).await.unwrap(), Some(row.clone()));
    assert_eq!(store.buying_sealed_request(id).await.unwrap().unwrap(), SEALED);

    let job = JobId::new([8; 32]);
    let (planned, posted) = (BuyingState::Planned, BuyingState::Posted);
    store.buying_move(id, planned, &BuyingStep::Posted { job }, 8).await.unwrap();
    let again = store.buying_move(id, planned, &BuyingStep::Posted { job }, 9).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    assert_eq!(
        store.buying_sealed_request(id).await.unwrap().unwrap(),
        SEALED,
        "its provider may ask for it"
    );

    let claimed = BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_whole(4000) };
    store.buying_move(id, posted, &claimed, 9).await.unwrap();
    let ended = store.buying_by_job(job).await.unwrap().unwrap();
    assert_eq!(ended.paid, Some(Xbzz::from_whole(4000)));
    assert_eq!(store.buying_sealed_request(id).await.unwrap(), None, "nobody needs it any more");
    assert!(store.buying_list_open().await.unwrap().is_empty());
    let impossible = store.buying_move(id, BuyingState::Claimed, &BuyingStep::Cancelled, 10).await;
    assert!(matches!(impossible, Err(StoreError::Illegal(_))), "paid, and taken back");
}

#[tokio::test]
async fn what_a_reorganisation_took_back_is_neither_paid_nor_the_job_that_it_was() {
    let (_folder, store) = store().await;
    let row = planned();
    store.buying_insert(&row, SEALED).await.unwrap();
    let (id, there) = ((row.request_id, row.attempt), SwarmRef::new([6; 32]));
    let claimed = BuyingStep::Claimed { response_hash: Some(there), paid: Xbzz::from_whole(4000) };
    let refused = BuyingStep::Refused { reason_at: Some(there) };
    let forgotten = BuyingStep::Reorganised { forgets_job: true };
    for (end, after, answer) in
        [(claimed, BuyingState::Delivered, Some(there)), (refused, BuyingState::Posted, None)]
    {
        let mut before = store.buying_by_attempt(id).await.unwrap().unwrap();
        if before.state == BuyingState::Planned {
            store
                .buying_move(id, before.state, &BuyingStep::Posted { job: JobId::new([8; 32]) }, 7)
                .await
                .unwrap();
            before = store.buying_by_attempt(id).await.unwrap().unwrap();
        }
        store.buying_move(id, before.state, &end, 8).await.unwrap();
        let over = store.buying_by_attempt(id).await.unwrap().unwrap();
        assert_eq!(before.after(&end).unwrap(), over, "as it was told");
        store.buying_move(id, over.state, &forgotten, 9).await.unwrap();
        let open = store.buying_by_attempt(id).await.unwrap().unwrap();
        assert_eq!((open.state, open.job, open.paid, open.response_hash), (after, None, None, answer));
        assert_eq!(over.after(&forgotten).unwrap(), open, "as it was told");
    }
}

#[tokio::test]
async fn a_row_that_contradicts_its_state_is_damaged_and_never_read() {
    let (_folder, store) = store().await;
    let row = planned();
    store.buying_insert(&row, SEALED).await.unwrap();
    let paid = "x'00000000000000000000000000000001'";
    for (state, columns, column) in [
        ("posted", format!("paid = {paid}"), "paid"),
        ("refused", format!("paid = {paid}"), "paid"),
        ("refused", "paid = NULL".into(), "paid"),
        ("not_posted", "paid = NULL, job = zeroblob(32)".into(), "job"),
    ] {
        let sql = format!("UPDATE buying_jobs SET state = '{state}', {columns}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&store.pool).await.unwrap();
        let read = store.buying_by_attempt((row.request_id, row.attempt)).await;
        assert!(matches!(read, Err(StoreError::Damaged { column: it }) if it == column), "{state}: {read:?}");
    }
}
