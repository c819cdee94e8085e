//! Sales that an older version began: what is claimed for them.

use std::sync::Arc;

use t4t_clock::{ManualClock, SharedClock};
use t4t_protocol::job::{SellingState, SellingStep};
use t4t_store::{Market, Side, Store};
use t4t_testkit::older::database_of_schema_10;
use t4t_types::{Address, JobId, SwarmRef, TokenUsage, UnixSeconds, Xbzz};

use super::rows::{Rows, end_of};
use crate::chronicle::Chronicle;

#[tokio::test]
async fn sales_open_at_an_upgrade_finish_and_are_paid_what_they_cost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t4t.db");
    database_of_schema_10(&path).await.unwrap();
    let clock: SharedClock = ManualClock::new(UnixSeconds::new(1_764_000_060));
    let market = Market { chain_id: 100, escrow: Address::new([0xe5; 20]) };
    let store = Store::open_for(&path, market).await.unwrap();
    let chronicle = Chronicle::new(Side::Selling, store.clone(), Arc::clone(&clock));
    let rows = Rows::new(store.clone(), chronicle, clock);

    let usage = TokenUsage { prompt: 1, completion: 2 };
    let open = store.selling_list_open().await.unwrap();
    assert_eq!(open.len(), 7);
    let mut paid = Xbzz::ZERO;
    for row in open {
        let mut row = row;
        if matches!(row.state, SellingState::Accepted | SellingState::Working) {
            rows.happened(row.job, SellingStep::Began).await.unwrap();
            let (sealed, payment) = (b"sealed".as_slice().into(), Xbzz::from_plur(100_000));
            let answered = SellingStep::Answered { sealed, usage, payment };
            row = rows.happened(&row, answered).await.unwrap().unwrap();
        }
        if row.state == SellingState::Answered {
            assert!(store.selling_sealed_answer(row.job).await.unwrap().is_some(), "it is uploaded now");
            let uploaded = SellingStep::Uploaded { response_hash: SwarmRef::new([9; 32]) };
            row = rows.happened(&row, uploaded).await.unwrap().unwrap();
        }
        let takes = if row.state == SellingState::Uploaded { row.claim().unwrap().1 } else { Xbzz::ZERO };
        let ended = rows.happened(row.job, end_of(row.state, takes)).await.unwrap().unwrap();
        assert!(ended.state.is_final());
        assert_eq!(ended.paid, Some(takes));
        paid = paid.saturating_add(takes);
    }
    assert!(store.selling_list_open().await.unwrap().is_empty());
    assert_eq!(paid, Xbzz::from_plur(2 * 100_000 + 2 * 500_000), "two new answers, and two of before");

    // A claim that was only seen before: its event tells the amount.
    let seen = JobId::new([0x28; 32]);
    assert_eq!(store.selling_by_job(seen).await.unwrap().unwrap().paid, None);
    let told = rows.happened(seen, SellingStep::Claimed { paid: Xbzz::from_plur(500_000) }).await.unwrap();
    assert_eq!(told.unwrap().paid, Some(Xbzz::from_plur(500_000)));
}
