//! The jobs of a data folder, as an operator asks for them.
#![cfg(test)]

use std::path::Path;

use t4t_operator::jobs::{Databases, GetJobHistory, JobsError, ListJobs};
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_runtime::config::DataSettings;
use t4t_store::buying::BuyingJob;
use t4t_store::{HistoryEntry, Market, NewHistoryEntry, Side, Store};
use t4t_types::{
    Address, EncryptionKey, JobId, Overlay, RequestId, SwarmRef, TokenPrices, UnixSeconds, Xbzz,
};

const ALL: ListJobs = ListJobs { side: None, is_open: false, state: None, limit: 20 };

/// A job that was bought as the `number`th.
fn bought(number: u8) -> BuyingJob {
    BuyingJob {
        request_id: RequestId::new([number; 32]),
        attempt: 1,
        state: BuyingState::Planned,
        provider: Address::new([2; 20]),
        provider_key: EncryptionKey::new([3; 32]),
        provider_overlay: Overlay::new([4; 32]),
        model: "m".parse().unwrap(),
        prices: TokenPrices { input: Xbzz::from_whole(1), output: Xbzz::from_whole(2) },
        request_hash: SwarmRef::new([number + 100; 32]),
        max_payment: Xbzz::from_whole(5),
        delivery_deadline: UnixSeconds::new(u64::MAX / 2),
        job: None,
        response_hash: None,
        paid: None,
        reason: None,
        created_at_ms: u64::from(number),
        explored: false,
    }
}

/// Whose jobs they are.
const MARKET: Market = Market { chain_id: 100, escrow: Address::new([9; 20]) };

/// A folder with three jobs: the first was paid 4 xBZZ, the others are open.
async fn traded(folder: &Path) {
    let store = Store::open_for(&folder.join(DataSettings::DATABASE), MARKET).await.unwrap();
    for number in [1, 2, 3] {
        store.buying_insert(&bought(number), b"sealed").await.unwrap();
    }
    let first = (RequestId::new([1; 32]), 1);
    let posted = BuyingStep::Posted { job: JobId::new([8; 32]) };
    store.buying_move(first, BuyingState::Planned, &posted, 8).await.unwrap();
    let claimed = BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_whole(4) };
    store.buying_move(first, BuyingState::Posted, &claimed, 9).await.unwrap();
    let entry = NewHistoryEntry {
        side: Side::Buying,
        subject: [1; 32],
        entry: HistoryEntry { at_ms: 7, event: "posted".into(), detail: String::new() },
    };
    store.history_insert_all(&[entry]).await.unwrap();
    store.close().await;
}

async fn listed(folder: &Path, asked: &ListJobs) -> Vec<u64> {
    let rows = asked.read(&Databases::find(folder, None).unwrap()).await.unwrap();
    rows.into_iter().map(|row| row.created_at_ms).collect()
}

#[tokio::test]
async fn jobs_are_listed_newest_first_by_side_state_and_number() {
    let folder = tempfile::tempdir().unwrap();
    traded(folder.path()).await;
    let of = async |asked: ListJobs| listed(folder.path(), &asked).await;
    assert_eq!(of(ALL).await, [3, 2, 1]);
    assert_eq!(of(ListJobs { limit: 2, ..ALL }).await, [3, 2]);
    assert_eq!(of(ListJobs { is_open: true, ..ALL }).await, [3, 2]);
    assert_eq!(of(ListJobs { state: Some("Claimed".into()), limit: 1, ..ALL }).await, [1]);
    assert_eq!(of(ListJobs { side: Some(Side::Buying), ..ALL }).await, [3, 2, 1]);
    assert!(of(ListJobs { side: Some(Side::Selling), ..ALL }).await.is_empty());
}

#[tokio::test]
async fn each_role_of_a_development_market_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["gateway", "provider"] {
        traded(&folder.path().join(role)).await;
    }
    assert_eq!(listed(folder.path(), &ALL).await, [3, 3, 2, 2, 1, 1]);
}

#[tokio::test]
async fn a_job_is_found_by_the_digits_of_any_of_its_ids_with_all_that_happened() {
    let folder = tempfile::tempdir().unwrap();
    traded(folder.path()).await;
    let databases = Databases::find(folder.path(), None).unwrap();
    let ids = [JobId::new([8; 32]).to_string(), format!("chatcmpl-{}", "01".repeat(32)), "0x6565".into()];
    for id in ids {
        let found = GetJobHistory { id: id.clone(), side: None }.read(&databases).await.unwrap();
        let [job] = found.as_slice() else { panic!("{id}: {} jobs", found.len()) };
        assert_eq!(job.row.job, Some(JobId::new([8; 32])));
        assert_eq!(job.history[0].event, "posted");
        assert_eq!(job.cost.paid, Some(Xbzz::from_whole(4)));
        assert_eq!(job.cost.refunded, Some(Xbzz::from_whole(1)));
        assert_eq!(job.meaning, "the provider was paid, the rest came back");
        let shown = serde_json::to_value(job).unwrap();
        assert_eq!((&shown["state"], &shown["cost"]["gas_unknown"]), (&"claimed".into(), &0.into()));
    }
}

#[tokio::test]
async fn what_can_not_be_found_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let none = Databases::find(folder.path(), None).unwrap_err();
    assert!(none.to_string().contains("start a role first"), "{none}");
    traded(folder.path()).await;
    let databases = Databases::find(folder.path(), None).unwrap();
    let ask =
        async |id: &str| GetJobHistory { id: id.into(), side: None }.read(&databases).await.unwrap_err();
    assert!(matches!(ask("0x65").await, JobsError::ShortId { .. }));
    assert!(matches!(ask("0xffff").await, JobsError::UnknownId { .. }));
}
