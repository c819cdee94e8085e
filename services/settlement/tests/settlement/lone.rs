//! A node that lies while the honest one beside it rests, refuses or is slow to be asked: nothing is final, signed anew or
//! paid for again and again on its word.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use t4t_api::settlement::{RegistryIntent, TransactionOutcome};
use t4t_chain::{BlockTag, Rpc, RpcConfig, deploy};
use t4t_clock::SystemClock;
use t4t_store::transactions::Inclusion;
use t4t_testkit::lying_rpc::LyingRpc;
use t4t_types::{TxHash, Xbzz, keccak256};

use crate::hostile::leave;
use crate::world::{CLIENT, PROVIDER, World, done, eventually, is_mined, known, order_of, outcome, submit};

struct Pair {
    honest: LyingRpc,
    liar: LyingRpc,
}

impl Pair {
    async fn before(world: &World) -> Self {
        let start = || LyingRpc::start(world.anvil.rpc_url());
        Self { honest: start().await.unwrap(), liar: start().await.unwrap() }
    }

    fn rpc(&self) -> Rpc {
        let urls = [self.honest.url(), self.liar.url()];
        let config = RpcConfig { deadline: Duration::from_secs(5), ..RpcConfig::new(urls) };
        Rpc::new(config, SystemClock::shared()).unwrap()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.trim_start_matches("0x");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Takes transactions, hands none on, and shows each in the block of one that was mined.
async fn swallows(world: &World, liar: &LyingRpc, mined: TxHash) {
    let template = world.ask("eth_getTransactionReceipt", json!([mined])).await;
    let swallowed: Arc<Mutex<Vec<Value>>> = Arc::default();
    liar.lie(move |question, answer| {
        let first = question["params"][0].clone();
        if question["method"] == "eth_sendRawTransaction" {
            let raw = bytes(first.as_str().unwrap_or_default());
            let hash = json!(TxHash::new(keccak256(&raw)));
            *answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": hash.clone() });
            swallowed.lock().unwrap().push(hash);
        } else if question["method"] == "eth_getTransactionReceipt"
            && answer["result"].is_null()
            && swallowed.lock().unwrap().contains(&first)
        {
            answer["result"] = template.clone();
            answer["result"]["transactionHash"] = first;
        }
    });
    liar.withhold("eth_sendRawTransaction");
}

#[actix_web::test]
async fn a_receipt_that_one_node_made_up_is_not_final_and_the_payment_is_made_once_the_other_takes_it() {
    let world = World::with_provider().await;
    let pair = Pair::before(&world).await;
    let running = world.start_with(CLIENT, pair.rpc()).await;
    let first = done(&running.settlement, "post:0", world.job().await).await;
    swallows(&world, &pair.liar, first.hash).await;
    pair.honest.refuse("eth_sendRawTransaction", -32000, "txpool is full");
    submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    assert!(is_mined(&outcome(&running.settlement, "post:1").await), "by the liar's word");
    world.anvil.mine(20).await.unwrap();
    let counts = pair.honest.asked("eth_getTransactionCount");
    eventually("the honest one was asked what it counts", || async {
        pair.honest.asked("eth_getTransactionCount") > counts + 1
    })
    .await;
    assert_eq!(world.posted().await, 1);
    pair.honest.be_honest();
    eventually("the payment is made", || async { world.posted().await == 2 }).await;
    done(&running.settlement, "post:2", world.job().await).await;
    assert_eq!(world.posted().await, 3);
    running.stop().await;
}

#[actix_web::test]
async fn a_database_with_a_false_receipt_that_is_final_heals_with_an_honest_node_alone() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    running.stop().await;
    let nonce = sent(&world, CLIENT).await;
    let deps = world.deps(CLIENT, world.rpc()).await;
    let lost = world.job().await;
    let call = world.market.addresses.escrow().post_job(&order_of(&lost));
    leave(&world, &deps.store, nonce, "post:lost", &lost, call).await;
    let scope = world.scope(CLIENT);
    let row = deps.store.transactions_open(scope).await.unwrap().pop().unwrap();
    let block = world.anvil.rpc().latest_block().await.unwrap();
    let inclusion = Inclusion {
        hash: row.hash,
        block: block.number,
        block_hash: *block.hash.as_bytes(),
        gas_used: 190_000,
        fee_wei: 1,
        job: None,
        amount: None,
        revert: None,
    };
    assert!(deps.store.transaction_include(row.id, &inclusion, 2).await.unwrap());
    deps.store.transactions_finalize(&[row.id]).await.unwrap();
    deps.store.close().await;
    drop(deps);
    let running = world.start(CLIENT).await;
    let after = done(&running.settlement, "post:1", world.job().await).await;
    assert_eq!(after.nonce, nonce + 1, "{:?}", known(&running.settlement, "post:lost").await);
    running.stop().await;
    assert_eq!((world.posted().await, sent(&world, CLIENT).await), (3, nonce + 2), "nothing was filled");
}

#[actix_web::test]
async fn a_false_allowance_and_a_false_estimate_cost_one_failed_payment() {
    let world = World::with_provider().await;
    let pair = Pair::before(&world).await;
    let running = world.start_with(CLIENT, pair.rpc()).await;
    done(&running.settlement, "post:0", world.job().await).await;
    // As if it were used up.
    let revoke = world.market.addresses.token().approve(world.market.addresses.escrow, Xbzz::ZERO);
    deploy::transact(world.anvil.rpc(), &world.key(CLIENT), &revoke).await.unwrap();
    pair.liar.lie(|question, answer| {
        let data = question["params"][0]["data"].as_str().unwrap_or_default();
        if question["method"] == "eth_call" && data.starts_with("0xdd62ed3e") {
            answer["result"] = json!(format!("0x{}", "f".repeat(64)));
        } else if question["method"] == "eth_estimateGas" {
            *answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": "0x7a1200" });
        }
    });
    running.stop().await;
    let running = world.start_with(CLIENT, pair.rpc()).await;
    let mut failed = Vec::new();
    for n in 1..5 {
        let key = format!("post:{n}");
        if submit(&running.settlement, &key, world.job().await).await.is_err() {
            continue;
        }
        let status = outcome(&running.settlement, &key).await;
        if matches!(status.outcome, TransactionOutcome::Reverted { .. }) {
            failed.push(status.hash);
        }
    }
    running.stop().await;
    assert_eq!((failed.len(), world.posted().await), (1, 4));
    let limit = world.ask("eth_getTransactionByHash", json!([failed[0]])).await["gas"].clone();
    let limit = u64::from_str_radix(limit.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert!(limit <= 800_000, "{limit}");
}

#[actix_web::test]
async fn a_count_of_one_node_alone_gives_nothing_a_new_nonce() {
    let world = World::with_provider().await;
    let pair = Pair::before(&world).await;
    let rpc = pair.rpc();
    let running = world.start_with(PROVIDER, rpc.clone()).await;
    world.anvil.stop_mining().await.unwrap();
    let waiting = submit(&running.settlement, "beat", RegistryIntent::Heartbeat).await.unwrap();
    pair.honest.refuse("eth_getTransactionCount", -32603, "Internal error");
    pair.liar.lie(|question, answer| {
        if question["method"] == "eth_getTransactionCount" {
            answer["result"] = json!("0xff");
        }
    });
    let asked = pair.liar.asked("eth_getTransactionCount");
    for _ in 0..4 {
        // What passes it by has to be seen.
        world.ask("anvil_dropTransaction", json!([waiting.hash])).await;
        world.anvil.mine(1).await.unwrap();
        world.head_was_read(&rpc).await;
    }
    eventually("the liar was asked twice", || async {
        pair.liar.asked("eth_getTransactionCount") > asked + 1
    })
    .await;
    assert_eq!(known(&running.settlement, "beat").await.nonce, waiting.nonce);
    world.anvil.set_block_time(Some(1)).await.unwrap();
    assert!(is_mined(&outcome(&running.settlement, "beat").await));
    assert_eq!(sent(&world, PROVIDER).await, waiting.nonce + 1);
    running.stop().await;
}

async fn sent(world: &World, wallet: u32) -> u64 {
    world.anvil.rpc().transaction_count(world.wallet(wallet), BlockTag::Latest).await.unwrap()
}
