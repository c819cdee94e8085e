use super::*;
use crate::scene::store;

const CLIENT: Address = Address::new([1; 20]);
const PROVIDER: Address = Address::new([2; 20]);

fn log(block: u8, what: &str) -> JobLog {
    JobLog {
        block: block.into(),
        block_hash: [block; 32],
        log_index: 0,
        tx: TxHash::ZERO,
        job: JobId::new([7; 32]),
        client: CLIENT,
        provider: PROVIDER,
        what: what.into(),
    }
}

fn changes<'a>(removed: &'a [([u8; 32], u64)], added: &'a [JobLog]) -> JobLogChanges<'a> {
    JobLogChanges { removed, added, cursor: Some(("reader", 9)), now_ms: 1000 }
}

fn query(party: Party, since_block: u64, after: u64) -> JobLogQuery {
    let wallet = if party == Party::Client { CLIENT } else { PROVIDER };
    JobLogQuery { wallet, party, since_block, after, up_to: u64::MAX, limit: 100 }
}

#[tokio::test]
async fn events_come_once_in_the_order_told_and_from_the_block_asked() {
    let (_folder, store) = store().await;
    let logs = [log(1, "a"), log(2, "b"), log(3, "c")];
    store.job_logs_apply(changes(&[], &logs)).await.unwrap();
    store.job_logs_apply(changes(&[], &logs)).await.unwrap();
    let found = store.job_logs_by_wallet(query(Party::Client, 2, 0)).await.unwrap();
    assert_eq!(found.iter().map(|kept| kept.log.what.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    let rest = store.job_logs_by_wallet(query(Party::Provider, 0, found[0].sequence)).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(store.job_logs_newest().await.unwrap(), rest[0].sequence);
    assert_eq!(store.cursor_by_name("reader").await.unwrap(), Some(9));
    assert_eq!(store.job_parties(JobId::new([7; 32])).await.unwrap(), Some((CLIENT, PROVIDER)));
    assert_eq!(store.job_parties(JobId::ZERO).await.unwrap(), None);
}

#[tokio::test]
async fn an_id_that_a_reorganisation_gave_to_another_provider_is_that_providers() {
    const OTHER: Address = Address::new([3; 20]);
    let (_folder, store) = store().await;
    let job = JobId::new([7; 32]);
    store.job_logs_apply(changes(&[], &[log(1, "posted")])).await.unwrap();
    store.job_logs_apply(changes(&[([1; 32], 0)], &[])).await.unwrap();
    assert_eq!(store.job_parties(job).await.unwrap(), Some((CLIENT, PROVIDER)));
    let again = JobLog { provider: OTHER, ..log(2, "posted") };
    store.job_logs_apply(changes(&[], &[again])).await.unwrap();
    assert_eq!(store.job_parties(job).await.unwrap(), Some((CLIENT, OTHER)));
}

#[tokio::test]
async fn an_event_taken_back_is_told_again_as_gone_however_often() {
    let (_folder, store) = store().await;
    let logs = [log(1, "a")];
    let gone = [([1; 32], 0)];
    for _ in 0..2 {
        store.job_logs_apply(changes(&[], &logs)).await.unwrap();
        let seen = store.job_logs_newest().await.unwrap();
        store.job_logs_apply(changes(&gone, &[])).await.unwrap();
        let found = store.job_logs_by_wallet(query(Party::Client, 0, seen)).await.unwrap();
        assert_eq!(found.iter().map(|kept| kept.is_gone).collect::<Vec<_>>(), [true]);
        assert!(store.job_logs_from_block(0).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn old_events_and_those_above_the_limit_are_forgotten_and_numbers_never_come_back() {
    let (_folder, store) = store().await;
    let logs = [log(1, "a"), log(2, "b"), log(3, "c")];
    store.job_logs_apply(changes(&[], &logs)).await.unwrap();
    let newest = store.job_logs_newest().await.unwrap();
    assert_eq!(store.job_logs_expire(0, 2).await.unwrap(), newest - 2);
    assert_eq!(store.job_logs_expire(1000, 2).await.unwrap(), 0);
    assert_eq!(store.job_logs_cut(2).await.unwrap(), 1);
    assert_eq!(store.job_logs_expire(1001, 2).await.unwrap(), newest - 1);
    store.job_logs_apply(changes(&[], &logs[..1])).await.unwrap();
    assert!(store.job_logs_newest().await.unwrap() > newest);
}
