//! The wallet's sequence under load, and beside another program that uses the same wallet.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;
use t4t_chain::{BlockTag, Fees, RpcCounts, TransactionRequest, deploy};
use t4t_settlement::{SettlementConfig, SettlementService};

use crate::world::{CLIENT, Sends, World, done, eventually, is_mined, job_of, known, outcome, submit};

#[actix_web::test]
async fn fifty_parallel_posts_have_consecutive_nonces_after_one_approval_and_all_mine() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    let mut jobs = Vec::new();
    for _ in 0..50 {
        jobs.push(world.job().await);
    }
    let keys: Vec<String> = (0..50).map(|n| format!("post:{n}")).collect();
    let posts = keys.iter().zip(jobs).map(|(key, job)| submit(&running.settlement, key, job));
    let nonces: BTreeSet<u64> =
        join_all(posts).await.into_iter().map(|answer| answer.unwrap().nonce).collect();
    assert_eq!(nonces, (1..=50).collect(), "the approval has nonce 0");
    let mined = join_all(keys.iter().map(|key| outcome(&running.settlement, key))).await;
    assert!(mined.iter().all(is_mined));
    let distinct: BTreeSet<_> = mined.iter().map(job_of).collect();
    assert_eq!((distinct.len(), world.posted().await), (50, 50));
    running.stop().await;
}

#[actix_web::test]
async fn a_post_costs_at_most_three_questions_to_the_chain() {
    let world = World::with_provider().await;
    let rpc = world.rpc();
    // The pace of the live chain: blocks are followed in the background.
    let config = SettlementConfig::new(world.anvil.chain_id(), world.market.addresses);
    let running = SettlementService::start(config, world.deps(CLIENT, rpc.clone()).await).await.unwrap();
    done(&running.settlement, "post:first", world.job().await).await;
    let before = rpc.counts();
    for n in 0..10 {
        done(&running.settlement, &format!("post:{n}"), world.job().await).await;
    }
    let mut jobs = Vec::new();
    for _ in 0..30 {
        jobs.push(world.job().await);
    }
    let keys: Vec<String> = (100..130).map(|n| format!("post:{n}")).collect();
    let posts = keys.iter().zip(jobs).map(|(key, job)| done(&running.settlement, key, job));
    join_all(posts).await;
    let after = rpc.counts();
    let asked = |method| {
        let count = |counts: &RpcCounts| counts.methods.get(method).copied().unwrap_or(0);
        count(&after) - count(&before)
    };
    assert_eq!((asked("eth_estimateGas"), asked("eth_sendRawTransaction")), (40, 40));
    assert_eq!((asked("eth_call"), asked("eth_getBalance"), asked("eth_getTransactionCount")), (0, 0, 0));
    // On a busy machine a block comes now and then after the first look.
    assert!(asked("eth_getTransactionReceipt") <= 60, "{after:?}");
    assert!(asked("eth_getBlockByNumber") <= 10, "{after:?}");
    assert!(after.requests - before.requests <= 3 * 40);
    running.stop().await;
}

#[actix_web::test]
async fn with_slow_blocks_a_receipt_is_looked_for_when_the_block_is_due() {
    let world = World::with_provider().await;
    world.anvil.set_block_time(Some(2)).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    let rpc = world.rpc();
    let config = SettlementConfig::new(world.anvil.chain_id(), world.market.addresses);
    let running = SettlementService::start(config, world.deps(CLIENT, rpc.clone()).await).await.unwrap();
    done(&running.settlement, "post:first", world.job().await).await;
    done(&running.settlement, "post:second", world.job().await).await;
    let before = rpc.counts().methods["eth_getTransactionReceipt"];
    for n in 0..3 {
        done(&running.settlement, &format!("post:{n}"), world.job().await).await;
    }
    let looks = rpc.counts().methods["eth_getTransactionReceipt"] - before;
    assert!((3..=6).contains(&looks), "{looks} looks for 3 posts");
    running.stop().await;
}

#[actix_web::test]
async fn a_nonce_that_another_program_used_is_replaced_once() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:1", world.job().await).await;
    deploy::send_coin(world.anvil.rpc(), &world.key(CLIENT), world.wallet(5), 1).await.unwrap();
    let submitted = submit(&running.settlement, "post:2", world.job().await).await.unwrap();
    assert_eq!(submitted.nonce, 2, "the one that the other program has used");
    let posted = outcome(&running.settlement, "post:2").await;
    assert!(is_mined(&posted), "{posted:?}");
    assert_eq!((posted.nonce, world.posted().await), (3, 2));
    running.stop().await;
}

#[actix_web::test]
async fn one_node_that_denies_a_payment_does_not_make_it_twice() {
    let world = World::with_provider().await;
    let rpc = world.rpc_of_two();
    let running = world.start_with(CLIENT, rpc.clone()).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.proxy.set(Sends::Deny);
    submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    // The other one shows it, so it is done, and neither signed anew nor waited for.
    assert!(is_mined(&outcome(&running.settlement, "post:1").await));
    assert_eq!(world.posted().await, 2);
    world.proxy.set(Sends::Pass);
    assert!(is_mined(&outcome(&running.settlement, "post:1").await));
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}

#[actix_web::test]
async fn one_node_that_says_a_payment_failed_is_not_believed() {
    let world = World::with_provider().await;
    let rpc = world.rpc_of_two();
    let running = world.start_with(CLIENT, rpc.clone()).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.proxy.set(Sends::Fail);
    submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    let receipts = || rpc.counts().methods.get("eth_getTransactionReceipt").copied().unwrap_or(0);
    let before = receipts();
    eventually("both nodes were asked", || async { receipts() > before + 3 }).await;
    assert!(!is_mined(&known(&running.settlement, "post:1").await));
    world.proxy.set(Sends::Pass);
    assert!(is_mined(&outcome(&running.settlement, "post:1").await), "and not said to have failed either");
    running.stop().await;
}

#[actix_web::test]
async fn a_post_that_may_still_come_back_gets_a_new_nonce_only_when_the_old_one_is_buried() {
    let world = World::with_provider().await;
    let rpc = world.rpc();
    let running = world.start_with(CLIENT, rpc.clone()).await;
    done(&running.settlement, "post:1", world.job().await).await;
    world.anvil.stop_mining().await.unwrap();
    let waiting = submit(&running.settlement, "post:2", world.job().await).await.unwrap();
    world.ask("anvil_dropTransaction", json!([waiting.hash])).await;
    let foreign = TransactionRequest {
        chain_id: world.anvil.chain_id(),
        nonce: waiting.nonce,
        to: Some(world.wallet(5)),
        data: Vec::new(),
        value: 1,
        gas_limit: 21_000,
        // It pays more than what was dropped, so it keeps its place.
        fees: Fees { max_fee: 300_000_000_000, max_priority: 100_000_000_000 },
    };
    let raw = foreign.sign(&world.key(CLIENT));
    world.anvil.rpc().send_raw(&raw.bytes).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    assert!(world.anvil.rpc().receipt(raw.hash).await.unwrap().is_some());
    // It is seen that the nonce is used, and the blocks on top are waited for.
    for _ in 0..3 {
        world.head_was_read(&rpc).await;
    }
    let still = known(&running.settlement, "post:2").await;
    assert_eq!((still.nonce, still.hash), (waiting.nonce, waiting.hash));
    world.anvil.mine(5).await.unwrap();
    eventually("it has a new nonce", || async {
        known(&running.settlement, "post:2").await.nonce == waiting.nonce + 1
    })
    .await;
    world.anvil.set_block_time(None).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    assert!(is_mined(&outcome(&running.settlement, "post:2").await));
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}

#[actix_web::test]
async fn a_hole_that_another_program_left_is_filled() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:1", world.job().await).await;
    running.stop().await;
    world.anvil.stop_mining().await.unwrap();
    let nonce = world.anvil.rpc().transaction_count(world.wallet(CLIENT), BlockTag::Latest).await.unwrap();
    let foreign = TransactionRequest {
        chain_id: world.anvil.chain_id(),
        nonce,
        to: Some(world.wallet(5)),
        data: Vec::new(),
        value: 1,
        gas_limit: 21_000,
        fees: Fees { max_fee: 3_000_000_000, max_priority: 1_000_000_000 },
    };
    let raw = foreign.sign(&world.key(CLIENT));
    world.anvil.rpc().send_raw(&raw.bytes).await.unwrap();
    let running = world.start(CLIENT).await;
    let behind = submit(&running.settlement, "post:2", world.job().await).await.unwrap();
    assert_eq!(behind.nonce, nonce + 1);
    world.ask("anvil_dropTransaction", json!([raw.hash])).await;
    world.anvil.mine(4).await.unwrap();
    eventually("the hole is filled", || async {
        world.anvil.mine(1).await.unwrap();
        is_mined(&known(&running.settlement, "post:2").await)
    })
    .await;
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}
