//! One node that lies about the wallet, an honest one beside it or none; and databases that such a lie has left behind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use t4t_api::settlement::{EscrowIntent, TransactionOutcome};
use t4t_chain::{BlockTag, Call, Fees, Rpc, RpcConfig, TransactionRequest};
use t4t_clock::{Clock, SystemClock};
use t4t_store::Store;
use t4t_store::transactions::{NewTransaction, StoredCall, StoredVersion};
use t4t_testkit::lying_rpc::LyingRpc;
use t4t_types::Xbzz;

use crate::world::{CLIENT, World, done, eventually, is_mined, known, order_of, outcome, submit};

/// How long a wallet may take to work again.
const HEALED_WITHIN: Duration = Duration::from_secs(60);

/// What a lying node says of the wallet's transactions.
#[derive(Clone, Copy, Debug)]
enum Count {
    Ahead(u64),
    None,
}

fn lies_about_counts(liar: &LyingRpc, count: Count) {
    liar.lie(move |question, answer| {
        if question["method"] == "eth_getTransactionCount" {
            let told = match count {
                Count::Ahead(by) => number(&answer["result"]) + by,
                Count::None => 0,
            };
            answer["result"] = json!(format!("{told:#x}"));
        }
    });
}

fn number(hex: &Value) -> u64 {
    u64::from_str_radix(hex.as_str().unwrap_or_default().trim_start_matches("0x"), 16).unwrap_or(0)
}

fn rpc_of(urls: &[url::Url]) -> Rpc {
    let config = RpcConfig { deadline: Duration::from_secs(5), ..RpcConfig::new(urls.to_vec()) };
    Rpc::new(config, SystemClock::shared()).unwrap()
}

async fn sent(world: &World) -> u64 {
    world.anvil.rpc().transaction_count(world.wallet(CLIENT), BlockTag::Latest).await.unwrap()
}

#[actix_web::test]
async fn no_false_count_of_one_node_moves_the_sequence_or_costs_a_transaction() {
    for count in [Count::Ahead(1), Count::Ahead(300), Count::Ahead(1_000_000), Count::None] {
        let world = World::with_provider().await;
        let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
        lies_about_counts(&liar, count);
        for liar_is_first in [true, false] {
            let mut urls = [world.anvil.rpc_url(), liar.url()];
            if liar_is_first {
                urls.reverse();
            }
            let running = world.start_with(CLIENT, rpc_of(&urls)).await;
            for n in 0..3 {
                done(&running.settlement, &format!("post:{liar_is_first}:{n}"), world.job().await).await;
            }
            running.stop().await;
        }
        assert_eq!(
            (world.posted().await, sent(&world).await),
            (6, 7),
            "six payments and an approval: {count:?}"
        );
    }
}

#[actix_web::test]
async fn with_one_node_a_count_far_beyond_our_own_is_not_followed() {
    let world = World::with_provider().await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    let running = world.start_with(CLIENT, rpc_of(&[liar.url()])).await;
    done(&running.settlement, "post:0", world.job().await).await;
    running.stop().await;
    lies_about_counts(&liar, Count::Ahead(300));
    let running = world.start_with(CLIENT, rpc_of(&[liar.url()])).await;
    for n in 1..4 {
        done(&running.settlement, &format!("post:{n}"), world.job().await).await;
    }
    running.stop().await;
    assert_eq!((world.posted().await, sent(&world).await), (4, 5));
}

#[actix_web::test]
async fn a_false_allowance_of_one_node_is_not_paid_for_again_and_again() {
    let world = World::with_provider().await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    liar.lie(|question, answer| {
        let data = question["params"][0]["data"].as_str().unwrap_or_default();
        if question["method"] == "eth_call"
            && (data.starts_with("0xdd62ed3e") || data.starts_with("0x70a08231"))
        {
            answer["result"] = json!(format!("0x{:064x}", 0));
        }
    });
    for start in 0..3 {
        let running = world.start_with(CLIENT, rpc_of(&[liar.url(), world.anvil.rpc_url()])).await;
        done(&running.settlement, &format!("post:{start}"), world.job().await).await;
        running.stop().await;
    }
    assert_eq!((world.posted().await, sent(&world).await), (3, 4), "three payments and one approval");
}

#[actix_web::test]
async fn a_node_that_refuses_every_transaction_costs_no_time_beside_an_honest_one() {
    let world = World::with_provider().await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    for (n, message) in ["txpool is full", "already known", "nonce too low"].into_iter().enumerate() {
        liar.refuse("eth_sendRawTransaction", -32000, message);
        let running = world.start_with(CLIENT, rpc_of(&[liar.url(), world.anvil.rpc_url()])).await;
        let began = Instant::now();
        done(&running.settlement, &format!("post:{n}"), world.job().await).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{message}: {:?}", began.elapsed());
        running.stop().await;
    }
    assert_eq!((world.posted().await, sent(&world).await), (3, 4));
}

/// A row as a version that believed one node's count left it.
pub(crate) async fn leave(
    world: &World,
    store: &Store,
    nonce: u64,
    key: &str,
    intent: &impl serde::Serialize,
    call: Call,
) {
    let scope = world.scope(CLIENT);
    let fees = Fees { max_fee: 5_000_000_000, max_priority: 1_000_000_000 };
    let stored = StoredCall { to: call.to, data: call.data.clone(), value: 0, gas_limit: 400_000 };
    let request = TransactionRequest {
        chain_id: scope.chain_id,
        nonce,
        to: Some(call.to),
        data: call.data,
        value: 0,
        gas_limit: 400_000,
        fees,
    };
    let raw = request.sign(&world.key(CLIENT));
    let version = StoredVersion {
        hash: raw.hash,
        nonce,
        raw: raw.bytes,
        max_fee: fees.max_fee,
        max_priority: fees.max_priority,
        refused: false,
    };
    let intent = serde_json::to_string(intent).unwrap();
    let new = NewTransaction {
        key,
        intent: &intent,
        call: &stored,
        version: &version,
        at_ms: SystemClock.unix_millis(),
    };
    store.transaction_insert(scope, &new).await.unwrap().unwrap();
}

async fn heals_from(ahead: u64) {
    let world = World::with_provider().await;
    let (escrow, token) = (world.market.addresses.escrow(), world.market.addresses.token());
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:before", world.job().await).await;
    running.stop().await;
    let first = sent(&world).await + ahead;

    let deps = world.deps(CLIENT, world.rpc()).await;
    let mut over = world.job().await;
    if let EscrowIntent::PostJob { delivery_deadline, .. } = &mut over {
        *delivery_deadline = t4t_types::UnixSeconds::new(delivery_deadline.get() - 4000);
    }
    let waiting = world.job().await;
    let allowed = Xbzz::from_whole(20);
    let approve = serde_json::json!({ "intent": "approve", "spender": escrow.address, "amount": allowed });
    leave(&world, &deps.store, first, "post:over", &over, escrow.post_job(&order_of(&over))).await;
    leave(&world, &deps.store, first + 1, "post:waits", &waiting, escrow.post_job(&order_of(&waiting))).await;
    leave(&world, &deps.store, first + 2, "harmless", &approve, token.approve(escrow.address, allowed)).await;
    deps.store.close().await;
    drop(deps);

    world.anvil.set_block_time(Some(1)).await.unwrap();
    let began = Instant::now();
    let running = world.start(CLIENT).await;
    // New work goes on at once.
    submit(&running.settlement, "post:after", world.job().await).await.unwrap();
    assert!(is_mined(&outcome(&running.settlement, "post:after").await));
    eventually("what does no harm twice has its place", || async {
        is_mined(&known(&running.settlement, "harmless").await)
    })
    .await;
    eventually("a payment whose deadline has passed is given up", || async {
        let reason = "NeverMined";
        matches!(known(&running.settlement, "post:over").await.outcome,
                 TransactionOutcome::Reverted { reason: why, .. } if why == reason)
    })
    .await;
    assert!(began.elapsed() < HEALED_WITHIN, "{:?}", began.elapsed());
    // The payment that could still be made keeps its nonce: signed for two, it could be made twice.
    let waits = known(&running.settlement, "post:waits").await;
    assert_eq!((waits.outcome, waits.nonce), (TransactionOutcome::Pending, first + 1));
    assert_eq!(world.posted().await, 2);
    assert_eq!(sent(&world).await, 4, "an approval, two payments, and the approval that was left: no filler");
    running.stop().await;
}

#[actix_web::test]
async fn a_database_left_300_nonces_ahead_heals_within_a_minute_and_fills_nothing() {
    heals_from(300).await;
}

#[actix_web::test]
async fn a_database_left_a_million_nonces_ahead_heals_within_a_minute_and_fills_nothing() {
    heals_from(1_000_000).await;
}
