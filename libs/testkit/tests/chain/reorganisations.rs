//! Events that a reorganisation takes back.

use t4t_chain::contracts::JobStatus;
use t4t_chain::{ChainEvent, LogScanner};

use crate::Fixture;

#[tokio::test]
async fn a_job_whose_block_is_reorganised_away_is_taken_back_once() {
    let fixture = Fixture::start().await;
    let rpc = fixture.anvil.rpc();
    let mut scanner = LogScanner::new(rpc.clone(), fixture.market.addresses, None, 12);
    scanner.poll().await.unwrap();

    fixture.post().await;
    let lost = fixture.post().await;
    let pass = scanner.poll().await.unwrap();
    assert_eq!(pass.added.iter().filter(|logged| logged.event.job().is_some()).count(), 4);

    // The last block becomes an empty one, and one more is made on top.
    fixture.anvil.reorg(1).await.unwrap();
    fixture.anvil.mine(1).await.unwrap();
    let pass = scanner.poll().await.unwrap();
    let removed: Vec<&ChainEvent> = pass.removed.iter().map(|logged| &logged.event).collect();
    assert!(removed.iter().all(|event| event.job() == Some(lost)) && removed.len() == 2, "{removed:?}");
    let next = scanner.poll().await.unwrap();
    assert_eq!((next.added, next.removed), (vec![], vec![]));

    let escrow = fixture.market.addresses.escrow();
    assert_eq!(escrow.job(rpc, lost).await.unwrap().status, JobStatus::None);
}
