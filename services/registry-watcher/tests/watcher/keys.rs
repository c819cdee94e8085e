//! An endpoint that names another key, denies a job or shows another time, beside an honest one.

use std::time::Duration;

use serde_json::json;
use t4t_api::registry_watcher::{Candidate, GetHead, GetJob, WatcherError};
use t4t_chain::{Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_registry_watcher::SyncState;
use t4t_testkit::lying_rpc::LyingRpc;
use t4t_types::{EncryptionKey, JobStatus};

use crate::world::{World, candidates, offer};

const MODEL: &str = "llama3:8b";

/// The key that a world's first provider registers, as it stands in an answer, and the liar's.
const TRUE_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const FALSE_KEY: &str = "abababababababababababababababababababababababababababababababab";

/// Puts another key in the place of the provider's, wherever it stands.
fn swaps_keys(liar: &LyingRpc) {
    liar.lie(|_, answer| {
        if let Some(text) = answer["result"].as_str() {
            answer["result"] =
                json!(text.replace(&format!("{TRUE_KEY}{TRUE_KEY}"), &format!("{FALSE_KEY}{TRUE_KEY}")));
        }
    });
}

fn both(world: &World, liar: &LyingRpc, liar_is_first: bool) -> Rpc {
    let mut urls = [world.anvil.rpc_url(), liar.url()];
    if liar_is_first {
        urls.reverse();
    }
    Rpc::new(RpcConfig::new(urls), SystemClock::shared()).unwrap()
}

fn keys(candidates: &[Candidate]) -> Vec<EncryptionKey> {
    candidates.iter().map(|candidate| candidate.sealing_key).collect()
}

#[actix_web::test]
async fn no_key_that_one_endpoint_alone_names_is_ever_sealed_to() {
    for liar_is_first in [true, false] {
        let world = World::start().await;
        world.register(1, &[offer(MODEL, 3, 5)]).await;
        let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
        swaps_keys(&liar);
        let running = world.start_watcher(world.config(), both(&world, &liar, liar_is_first)).await;
        running.sync_once().await.unwrap();
        let watcher = running.watcher();
        assert!(candidates(&watcher, MODEL).await.is_empty(), "liar first: {liar_is_first}");
        assert!(matches!(*running.synced().borrow(), SyncState::Synced { unconfirmed: 1, .. }));
        running.stop().await;
    }
}

#[actix_web::test]
async fn a_key_that_two_endpoints_named_is_kept_over_a_restart_and_a_later_lie() {
    let world = World::start().await;
    world.register(1, &[offer(MODEL, 3, 5)]).await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    let honest = [EncryptionKey::new([1; 32])];
    let running = world.start_watcher(world.config(), both(&world, &liar, true)).await;
    running.sync_once().await.unwrap();
    assert_eq!(keys(&candidates(&running.watcher(), MODEL).await), honest);
    running.stop().await;
    swaps_keys(&liar);
    let running = world.start_watcher(world.config(), both(&world, &liar, true)).await;
    running.sync_once().await.unwrap();
    assert_eq!(keys(&candidates(&running.watcher(), MODEL).await), honest);
    running.stop().await;
}

#[actix_web::test]
async fn without_a_second_word_a_new_key_waits_and_with_one_endpoint_it_is_taken() {
    let world = World::start().await;
    world.register(1, &[offer(MODEL, 3, 5)]).await;
    let away = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    away.refuse("eth_call", -32603, "Internal error");
    let running = world.start_watcher(world.config(), both(&world, &away, false)).await;
    running.sync_once().await.unwrap();
    assert!(candidates(&running.watcher(), MODEL).await.is_empty());
    running.stop().await;
    let running = world.watcher().await;
    assert_eq!(candidates(&running.watcher(), MODEL).await.len(), 1);
    running.stop().await;
}

#[actix_web::test]
async fn no_single_endpoint_ends_a_job_or_the_time_it_has() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let job = world.post(provider).await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    for liar_is_first in [true, false] {
        liar.be_honest();
        let running = world.start_watcher(world.config(), both(&world, &liar, liar_is_first)).await;
        running.sync_once().await.unwrap();
        let honest = running.watcher().ask(GetHead {}).await.unwrap().timestamp;
        liar.lie(|question, answer| {
            if question["method"] == "eth_getBlockByNumber" {
                answer["result"]["timestamp"] = json!("0xffffffff");
            }
            if question["method"] == "eth_call" {
                // Every word is zero: there is no job.
                let length = answer["result"].as_str().map_or(0, str::len).saturating_sub(2);
                answer["result"] = json!(format!("0x{}", "0".repeat(length)));
            }
        });
        let terms = running.watcher().ask(GetJob { job }).await.unwrap();
        assert_eq!((terms.status, terms.provider), (JobStatus::Pending, provider));
        let _refused_or_not = running.sync_once().await;
        let head = running.watcher().ask(GetHead {}).await.unwrap();
        assert!(head.timestamp.since(honest) < 600, "{head:?}");
        running.stop().await;
    }
}

#[actix_web::test]
async fn an_endpoint_that_is_alone_while_the_other_rests_or_is_away_ends_no_job() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let job = world.post(provider).await;
    let liar = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    let honest = LyingRpc::start(world.anvil.rpc_url()).await.unwrap();
    let config = RpcConfig {
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_secs(2),
        ..RpcConfig::new([honest.url(), liar.url()])
    };
    let rpc = Rpc::new(config, SystemClock::shared()).unwrap();
    let running = world.start_watcher(world.config(), rpc.clone()).await;
    running.sync_once().await.unwrap();
    liar.lie(|question, answer| {
        if question["method"] == "eth_call" {
            let length = answer["result"].as_str().map_or(0, str::len).saturating_sub(2);
            answer["result"] = json!(format!("0x{}", "0".repeat(length)));
        }
    });
    honest.refuse_with("*", 429, -32005, "limit exceeded");
    assert!(rpc.latest_block().await.is_ok(), "by the other one; this one rests for a second or two");
    let alone = running.watcher().ask(GetJob { job }).await;
    assert!(matches!(alone, Err(WatcherError::Chain { .. })), "{alone:?}");
    honest.be_honest();
    let terms = running.watcher().ask(GetJob { job }).await.unwrap();
    assert_eq!((terms.status, terms.provider), (JobStatus::Pending, provider));
    running.stop().await;
}
