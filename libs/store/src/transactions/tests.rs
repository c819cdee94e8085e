use super::*;
use crate::Store;
use crate::scene::store;

const SCOPE: TransactionScope = TransactionScope { chain_id: 100, wallet: Address::new([7; 20]) };

fn version(nonce: u64, seed: u8) -> StoredVersion {
    let raw = vec![seed; 4];
    StoredVersion { hash: TxHash::new([seed; 32]), nonce, raw, max_fee: 10, max_priority: 1, refused: false }
}

fn call() -> StoredCall {
    StoredCall { to: Address::new([9; 20]), data: vec![1, 2], value: 0, gas_limit: 21_000 }
}

fn inclusion(hash: TxHash) -> Inclusion {
    Inclusion {
        hash,
        block: 5,
        block_hash: [5; 32],
        gas_used: 21_000,
        fee_wei: u128::MAX,
        job: Some(JobId::new([3; 32])),
        amount: Some(Xbzz::MAX),
        revert: None,
    }
}

async fn insert(
    store: &Store,
    key: &str,
    version: &StoredVersion,
) -> Result<Option<TransactionId>, StoreError> {
    let call = call();
    let new = NewTransaction { key, intent: "{}", call: &call, version, at_ms: 1 };
    store.transaction_insert(SCOPE, &new).await
}

#[tokio::test]
async fn a_key_and_a_nonce_are_taken_once() {
    let (_folder, store) = store().await;
    assert!(insert(&store, "a", &version(0, 1)).await.unwrap().is_some());
    assert!(insert(&store, "a", &version(1, 2)).await.unwrap().is_none());
    assert!(insert(&store, "b", &version(0, 3)).await.is_err());
    assert!(insert(&store, "b", &version(1, 4)).await.unwrap().is_some());
    assert_eq!(store.transactions_pending_count(SCOPE).await.unwrap(), 2);
    let another = TransactionScope { wallet: Address::ZERO, ..SCOPE };
    assert!(store.transactions_open(another).await.unwrap().is_empty());
    assert_eq!(store.transactions_other_wallet(SCOPE).await.unwrap(), None);
    assert_eq!(store.transactions_other_wallet(another).await.unwrap(), Some(SCOPE.wallet));
    let elsewhere = TransactionScope { chain_id: 1, ..another };
    assert_eq!(store.transactions_other_wallet(elsewhere).await.unwrap(), None);
}

#[tokio::test]
async fn versions_are_kept_and_an_inclusion_can_be_taken_back_until_it_is_final() {
    let (_folder, store) = store().await;
    let id = insert(&store, "a", &version(0, 1)).await.unwrap().unwrap();
    assert!(store.transaction_version_insert(id, 0, &version(0, 2), 2).await.unwrap());
    assert!(!store.transaction_version_insert(id, 9, &version(9, 3), 2).await.unwrap());
    store.transaction_version_refuse(TxHash::new([2; 32])).await.unwrap();
    let open = store.transactions_open(SCOPE).await.unwrap();
    let hashes: Vec<_> = open[0].versions.iter().map(|version| (version.hash, version.refused)).collect();
    assert_eq!(hashes, [(TxHash::new([1; 32]), false), (TxHash::new([2; 32]), true)]);
    assert_eq!(open[0].hash, TxHash::new([2; 32]));

    let included = inclusion(TxHash::new([1; 32]));
    assert!(store.transaction_include(id, &included, 3).await.unwrap());
    let found = store.transaction_by_key(SCOPE, "a").await.unwrap().unwrap();
    assert_eq!(found.state, TransactionState::Included { inclusion: included.clone(), is_final: false });
    assert!(store.transaction_reopen(id, 4).await.unwrap());
    assert!(store.transaction_by_key(SCOPE, "a").await.unwrap().unwrap().is_pending());

    store.transactions_finalize(&[id]).await.unwrap();
    assert_eq!(store.transactions_open(SCOPE).await.unwrap().len(), 1, "a pending one is never final");
    store.transaction_include(id, &included, 5).await.unwrap();
    store.transactions_finalize(&[id]).await.unwrap();
    assert!(store.transactions_open(SCOPE).await.unwrap().is_empty());
    assert!(!store.transaction_reopen(id, 6).await.unwrap());
    assert_eq!(store.transactions_expire(2).await.unwrap(), 1);
}

#[tokio::test]
async fn a_new_nonce_replaces_the_old_one_in_one_step() {
    let (_folder, store) = store().await;
    let id = insert(&store, "a", &version(0, 1)).await.unwrap().unwrap();
    insert(&store, "b", &version(1, 2)).await.unwrap();
    assert!(store.transaction_version_insert(id, 0, &version(1, 3), 2).await.is_err());
    assert!(store.transaction_version_insert(id, 0, &version(2, 4), 2).await.unwrap());
    let open = store.transactions_open(SCOPE).await.unwrap();
    assert_eq!(
        open.iter().map(|row| (row.key.as_str(), row.nonce)).collect::<Vec<_>>(),
        [("b", 1), ("a", 2)]
    );
    assert_eq!(open[1].versions.len(), 2);
}

#[tokio::test]
async fn a_jobs_transactions_are_found_by_its_ids_and_by_any_of_their_hashes() {
    let (_folder, store) = store().await;
    let (request, job) = (t4t_types::RequestId::new([4; 32]), JobId::new([5; 32]));
    let keys = [
        format!("post:{request}:1"),
        format!("post:{request}:12"),
        format!("cancel:{job}"),
        format!("cancel:{job}:2"),
        format!("ack:{}", JobId::new([6; 32])),
    ];
    for (nonce, key) in (0..).zip(&keys) {
        insert(&store, key, &version(nonce, nonce as u8 + 1)).await.unwrap().unwrap();
    }
    let found = store.transactions_about(Some((request, 1)), Some(job)).await.unwrap();
    let found: Vec<&str> = found.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(found, [keys[0].as_str(), &keys[2], &keys[3]]);

    let open = store.transactions_open(SCOPE).await.unwrap();
    let raised = version(2, 0xab);
    assert!(store.transaction_version_insert(open[2].id, 2, &raised, 2).await.unwrap());
    store.transaction_include(open[2].id, &inclusion(raised.hash), 3).await.unwrap();
    for digits in ["0303", "abab"] {
        assert_eq!(store.transaction_keys_by_hash(digits).await.unwrap(), [keys[2].clone()]);
    }
    let found = store.transactions_about(None, Some(job)).await.unwrap();
    assert_eq!((found[0].state.as_str(), found[0].versions, found[0].block), ("mined", 2, Some(5)));
    assert_eq!(found[0].fee(), Some(u128::MAX));
}

#[tokio::test]
async fn what_was_mined_at_a_nonce_and_what_was_left_behind_is_known() {
    let (_folder, store) = store().await;
    let closed = ["closed", "filled"];
    let mined = insert(&store, "a", &version(4, 1)).await.unwrap().unwrap();
    let moved = insert(&store, "b", &version(5, 2)).await.unwrap().unwrap();
    assert_eq!(store.transactions_highest_mined(SCOPE, closed).await.unwrap(), None);
    assert_eq!(store.transaction_mined_at(SCOPE, 4).await.unwrap(), None, "it is in no block");
    assert!(store.transactions_left_behind(SCOPE, 0).await.unwrap().is_empty());

    store.transaction_include(mined, &inclusion(TxHash::new([1; 32])), 2).await.unwrap();
    assert_eq!(store.transactions_highest_mined(SCOPE, closed).await.unwrap(), None, "it may be taken back");
    store.transactions_finalize(&[mined]).await.unwrap();
    assert_eq!(store.transactions_highest_mined(SCOPE, closed).await.unwrap(), Some(4));
    assert_eq!(store.transaction_mined_at(SCOPE, 4).await.unwrap(), Some(vec![1; 4]));

    store.transaction_version_insert(moved, 5, &version(6, 3), 3).await.unwrap();
    let left = store.transactions_left_behind(SCOPE, 5).await.unwrap();
    assert_eq!(left, [(5, 10, 1)], "signed for a nonce at which it is not to be mined any more");
    let filled = Inclusion { revert: Some("filled".into()), ..inclusion(TxHash::new([3; 32])) };
    store.transaction_include(moved, &filled, 4).await.unwrap();
    store.transactions_finalize(&[moved]).await.unwrap();
    assert_eq!(store.transactions_highest_mined(SCOPE, closed).await.unwrap(), Some(4), "it did not happen");
}

#[tokio::test]
async fn a_name_is_used_once_in_a_market_and_a_nonce_once_by_the_wallet() {
    let (_folder, ours) = store().await;
    let other = crate::Market { chain_id: 100, escrow: Address::new([0xe6; 20]) };
    let other = ours.for_market(other).await.unwrap();
    assert!(insert(&ours, "claim:7", &version(0, 1)).await.unwrap().is_some());
    assert!(insert(&ours, "claim:7", &version(1, 2)).await.unwrap().is_none());
    assert!(insert(&other, "claim:7", &version(0, 3)).await.is_err(), "the nonce is taken");
    assert!(insert(&other, "claim:7", &version(1, 4)).await.unwrap().is_some(), "its job 7 is another");
    for (store, nonce) in [(&ours, 0), (&other, 1)] {
        assert_eq!(store.transaction_by_key(SCOPE, "claim:7").await.unwrap().unwrap().nonce, nonce);
        assert_eq!(
            store.transactions_open(SCOPE).await.unwrap().len(),
            2,
            "the wallet's nonces are one sequence"
        );
    }
}
