//! Transactions that no block takes.

use serde_json::json;

use crate::world::{CLIENT, Sends, World, done, eventually, is_mined, known, outcome, submit};

const GWEI: u128 = 1_000_000_000;

#[actix_web::test]
async fn a_stuck_transaction_is_replaced_by_fee_at_its_nonce_within_three_blocks() {
    let world = World::with_provider().await;
    let rpc = world.rpc();
    let running = world.start_with(CLIENT, rpc.clone()).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.anvil.stop_mining().await.unwrap();
    let first = submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    world.head_was_read(&rpc).await;
    let head = world.anvil.rpc().latest_block().await.unwrap().number;
    for _ in 0..3 {
        world.set_next_base_fee(50 * GWEI).await;
        world.anvil.mine(1).await.unwrap();
    }
    eventually("a version with a higher fee was sent", || async {
        known(&running.settlement, "post:1").await.hash != first.hash
    })
    .await;
    assert_eq!(world.anvil.rpc().latest_block().await.unwrap().number, head + 3);
    world.anvil.mine(1).await.unwrap();
    let posted = outcome(&running.settlement, "post:1").await;
    assert!(is_mined(&posted));
    assert_eq!(posted.nonce, first.nonce);
    assert_ne!(posted.hash, first.hash);
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}

#[actix_web::test]
async fn the_first_version_counts_if_it_is_mined_after_all() {
    let world = World::with_provider().await;
    let rpc = world.rpc();
    let running = world.start_with(CLIENT, rpc.clone()).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.anvil.stop_mining().await.unwrap();
    let first = submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    world.head_was_read(&rpc).await;
    // The higher versions are stored, and never reach the node.
    world.proxy.set(Sends::Block);
    for _ in 0..3 {
        world.set_next_base_fee(50 * GWEI).await;
        world.anvil.mine(1).await.unwrap();
    }
    eventually("another version was stored", || async {
        known(&running.settlement, "post:1").await.hash != first.hash
    })
    .await;
    world.set_next_base_fee(GWEI / 2).await;
    world.anvil.mine(1).await.unwrap();
    // The node has dropped it as too cheap; another one has not.
    world.ask("eth_sendRawTransaction", json!([world.proxy.sent()[2]])).await;
    world.anvil.mine(1).await.unwrap();
    let posted = outcome(&running.settlement, "post:1").await;
    assert!(is_mined(&posted));
    assert_eq!(posted.hash, first.hash);
    running.stop().await;
}

#[actix_web::test]
async fn what_the_mempool_dropped_is_sent_again_byte_for_byte() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.anvil.stop_mining().await.unwrap();
    let sent = submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    world.ask("anvil_dropTransaction", json!([sent.hash])).await;
    assert!(!world.anvil.rpc().transaction_known(sent.hash).await.unwrap());
    eventually("the node has it again", || async {
        world.anvil.rpc().transaction_known(sent.hash).await.unwrap()
    })
    .await;
    let bytes = world.proxy.sent().split_off(2);
    assert!(bytes.len() >= 2 && bytes.iter().all(|again| *again == bytes[0]));
    world.anvil.mine(1).await.unwrap();
    let posted = outcome(&running.settlement, "post:1").await;
    assert_eq!((posted.hash, is_mined(&posted)), (sent.hash, true));
    running.stop().await;
}
