//! Blocks that are taken back.

use t4t_api::registry_watcher::JobRole;
use t4t_testkit::anvil::dev_key;

use crate::world::{CLIENT, World, addresses, candidates, next, offer, watch, words};

#[actix_web::test]
async fn a_job_whose_block_is_taken_back_is_said_to_be_gone() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    world.anvil.mine(15).await.unwrap();
    let running = world.watcher().await;
    let watcher = running.watcher();
    let mut selling = watch(&watcher, provider, JobRole::Provider, None).await;
    let gone = world.post(provider).await;
    running.sync_once().await.unwrap();
    assert_eq!(candidates(&watcher, "m").await[0].open_jobs, 1);
    assert_eq!(words(&next(&mut selling, 1).await), [("posted", gone)]);

    world.anvil.reorg(3).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    running.sync_once().await.unwrap();
    assert_eq!(candidates(&watcher, "m").await[0].open_jobs, 0);
    let again = world.post(provider).await;
    running.sync_once().await.unwrap();
    assert_eq!(words(&next(&mut selling, 2).await), [("reorganised", gone), ("posted", again)]);

    // Whoever asks later, because it was away, is told too.
    let client = dev_key(CLIENT).address();
    let mut late = watch(&watcher, client, JobRole::Client, Some(0)).await;
    assert_eq!(words(&next(&mut late, 2).await), [("reorganised", gone), ("posted", again)]);
}

#[actix_web::test]
async fn a_job_taken_back_while_nobody_watched_is_said_to_be_gone_after_the_start() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    world.anvil.mine(15).await.unwrap();
    let running = world.watcher().await;
    let gone = world.post(provider).await;
    running.sync_once().await.unwrap();
    running.stop().await;
    world.anvil.reorg(3).await.unwrap();
    world.anvil.mine(2).await.unwrap();
    let running = world.watcher().await;
    let mut events = watch(&running.watcher(), provider, JobRole::Provider, Some(0)).await;
    assert_eq!(words(&next(&mut events, 1).await), [("reorganised", gone)]);
}

#[actix_web::test]
async fn a_provider_whose_registration_is_taken_back_is_no_candidate() {
    let world = World::start().await;
    world.anvil.mine(15).await.unwrap();
    let running = world.watcher().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&running.watcher(), "m").await, [provider]);
    world.anvil.reorg(4).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    running.sync_once().await.unwrap();
    assert!(addresses(&running.watcher(), "m").await.is_empty());
}

#[actix_web::test]
async fn a_chain_that_was_set_back_is_followed_after_a_restart() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let snapshot = world.anvil.snapshot().await.unwrap();
    world.anvil.mine(40).await.unwrap();
    world.post(provider).await;
    let running = world.watcher().await;
    running.stop().await;
    world.anvil.revert(&snapshot).await.unwrap();
    let running = world.watcher().await;
    let job = world.post(provider).await;
    running.sync_once().await.unwrap();
    let mut events = watch(&running.watcher(), provider, JobRole::Provider, Some(0)).await;
    assert_eq!(words(&next(&mut events, 1).await), [("posted", job)]);
    assert_eq!(candidates(&running.watcher(), "m").await[0].open_jobs, 1);
}
