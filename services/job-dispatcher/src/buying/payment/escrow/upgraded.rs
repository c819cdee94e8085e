//! Purchases that an older version began: what they may still cost, and what they did.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use t4t_clock::{ManualClock, SharedClock};
use t4t_protocol::job::{BuyingState, BuyingStep};
use t4t_store::{Market, Side, Store};
use t4t_testkit::older::database_of_schema_10;
use t4t_types::{Address, JobId, RequestId, SwarmRef, UnixSeconds, Xbzz};

use super::ledger::Ledger;
use crate::buying::capacity::Capacity;
use crate::buying::spend::{DayLimits, Spend};
use crate::chronicle::Chronicle;

/// The day on which all of them were planned.
const NOW: UnixSeconds = UnixSeconds::new(1_764_000_060);

/// More than they cost together.
const LIMIT: Xbzz = Xbzz::from_plur(100_000_000);

async fn open(path: &Path, clock: &SharedClock) -> (Ledger, Spend) {
    let market = Market { chain_id: 100, escrow: Address::new([0xe5; 20]) };
    let store = Store::open_for(path, market).await.unwrap();
    let limits = DayLimits { spend: LIMIT, ..DayLimits::default() };
    let spend = Spend::load(limits, &store, Arc::clone(clock)).await.unwrap();
    let chronicle = Chronicle::new(Side::Buying, store.clone(), Arc::clone(clock));
    let capacity = Capacity::new(Arc::clone(clock), Duration::from_secs(900));
    (Ledger::new((store, chronicle), Arc::clone(clock), (spend.clone(), capacity)), spend)
}

/// What counts towards the day's limit.
fn spent(spend: &Spend) -> Xbzz {
    let (mut low, mut high) = (0, LIMIT.plur());
    while low < high {
        let amount = high - (high - low) / 2;
        if spend.hold(Xbzz::from_plur(amount), false).is_ok() { low = amount } else { high = amount - 1 }
    }
    Xbzz::from_plur(LIMIT.plur() - low)
}

#[tokio::test]
async fn purchases_open_at_an_upgrade_finish_and_cost_what_was_claimed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t4t.db");
    database_of_schema_10(&path).await.unwrap();
    let clock: SharedClock = ManualClock::new(NOW);
    let (ledger, spend) = open(&path, &clock).await;
    // Five are in flight for 5 000 000 each; one took 4 000 000, and one whatever was in escrow.
    assert_eq!(spent(&spend), Xbzz::from_plur(5 * 5_000_000 + 4_000_000 + 5_000_000));

    let claimed = |plur| BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_plur(plur) };
    let told = [
        (1, BuyingStep::Posted { job: JobId::new([31; 32]) }),
        (1, claimed(1_000_000)),
        (2, BuyingStep::Delivered { response_hash: SwarmRef::new([9; 32]) }),
        (2, claimed(2_000_000)),
        (3, BuyingStep::TimedOut),
        (4, claimed(3_000_000)),
        (12, BuyingStep::Posted { job: JobId::new([32; 32]) }),
        (12, BuyingStep::Refused { reason_at: None }),
        // The event of the claim that was only seen before.
        (10, claimed(4_500_000)),
    ];
    for (number, step) in told {
        ledger.happened((RequestId::new([number; 32]), 1), step).await.unwrap();
    }
    assert!(ledger.store.buying_list_open().await.unwrap().is_empty());
    let paid = Xbzz::from_plur(1_000_000 + 2_000_000 + 3_000_000 + 4_000_000 + 4_500_000);
    assert_eq!(spent(&spend), paid);
    let (ledger, spend) = open(&path, &clock).await;
    assert_eq!(spent(&spend), paid, "and after a restart");
    let rows = ledger.store.buying_list_recent(100).await.unwrap();
    let of_claims = rows.iter().filter(|row| row.state == BuyingState::Claimed).filter_map(|row| row.paid);
    assert_eq!(of_claims.fold(Xbzz::ZERO, Xbzz::saturating_add), paid);
}
