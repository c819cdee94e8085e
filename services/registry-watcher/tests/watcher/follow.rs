//! Streams of what happens to jobs.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use t4t_api::registry_watcher::{GetHead, JobHappening, JobRole, WatcherError};
use t4t_clock::{ManualClock, SharedClock};
use t4t_registry_watcher::WatcherConfig;
use t4t_testkit::anvil::dev_key;
use t4t_types::{SwarmRef, UnixSeconds};

use crate::world::{CLIENT, PRICE, World, next, offer, watch, words};

#[actix_web::test]
async fn both_parties_are_told_what_happens_to_their_jobs() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    let client = dev_key(CLIENT).address();
    let mut selling = watch(&watcher, provider, JobRole::Provider, None).await;
    let mut buying = watch(&watcher, client, JobRole::Client, None).await;
    let mut stranger = watch(&watcher, dev_key(5).address(), JobRole::Client, None).await;

    let job = world.post(provider).await;
    running.sync_once().await.unwrap();
    world.transact(1, world.market.addresses.escrow().ack_job(job)).await;
    world.claim(1, job).await;
    running.sync_once().await.unwrap();
    let told = next(&mut selling, 3).await;
    assert_eq!(words(&told), [("posted", job), ("acked", job), ("claimed", job)]);
    assert_eq!(told[0].what, JobHappening::Posted { client, provider });
    assert_eq!(told[2].what, JobHappening::Claimed { response_hash: SwarmRef::new([8; 32]), paid: PRICE });
    assert_eq!(next(&mut buying, 3).await, told);
    assert!(stranger.next().now_or_never().is_none());
}

#[actix_web::test]
async fn a_stream_from_a_block_on_goes_on_into_what_comes() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    let skipped = world.post(provider).await;
    running.sync_once().await.unwrap();
    let head = watcher.ask(GetHead {}).await.unwrap().block;
    let known = world.post(provider).await;
    running.sync_once().await.unwrap();

    let mut events = watch(&watcher, provider, JobRole::Provider, Some(head + 1)).await;
    let mut all = watch(&watcher, provider, JobRole::Provider, Some(0)).await;
    let mut from_now = watch(&watcher, provider, JobRole::Provider, None).await;
    let later = world.post(provider).await;
    running.sync_once().await.unwrap();
    assert_eq!(words(&next(&mut events, 2).await), [("posted", known), ("posted", later)]);
    assert_eq!(words(&next(&mut from_now, 1).await), [("posted", later)]);
    let all = next(&mut all, 3).await;
    assert_eq!(words(&all), [("posted", skipped), ("posted", known), ("posted", later)]);
}

#[actix_web::test]
async fn nothing_is_lost_or_told_twice_over_a_restart() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let running = world.watcher().await;
    let first = world.post(provider).await;
    running.sync_once().await.unwrap();
    running.stop().await;

    // While nobody watches.
    let second = world.post(provider).await;
    world.claim(1, first).await;
    let running = world.watcher().await;
    let third = world.post(provider).await;
    running.sync_once().await.unwrap();
    running.sync_once().await.unwrap();
    let mut events = watch(&running.watcher(), provider, JobRole::Provider, Some(0)).await;
    let told = next(&mut events, 4).await;
    let expected = [("posted", first), ("posted", second), ("claimed", first), ("posted", third)];
    assert_eq!(words(&told), expected);
    assert!(events.next().now_or_never().is_none());
}

#[actix_web::test]
async fn the_very_first_start_finds_the_events_of_the_past_and_reads_whom_they_concern() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let old = world.post(provider).await;
    world.anvil.mine(30).await.unwrap();
    let job = world.post(provider).await;
    world.claim(1, old).await;
    // The posting of the old job lies before what is read, so its parties have to be asked for.
    let config = WatcherConfig { backfill_blocks: 5, ..world.config() };
    let running = world.start_watcher(config, world.rpc()).await;
    running.sync_once().await.unwrap();
    let client = dev_key(CLIENT).address();
    let mut events = watch(&running.watcher(), client, JobRole::Client, Some(0)).await;
    assert_eq!(words(&next(&mut events, 2).await), [("posted", job), ("claimed", old)]);
}

#[actix_web::test]
async fn a_reader_that_missed_what_was_forgotten_is_told_so() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let config = WatcherConfig { event_limit: 1, ..world.config() };
    let clock = ManualClock::new(UnixSeconds::new(1_000_000));
    let shared: SharedClock = clock.clone();
    let running = world.start_watcher_at(config, world.rpc(), shared).await;
    running.sync_once().await.unwrap();
    let first = world.post(provider).await;
    running.sync_once().await.unwrap();
    let watcher = running.watcher();
    let mut slow = watch(&watcher, provider, JobRole::Provider, Some(0)).await;
    assert_eq!(words(&next(&mut slow, 1).await), [("posted", first)]);

    world.post(provider).await;
    let last = world.post(provider).await;
    clock.advance(Duration::from_secs(3600));
    running.sync_once().await.unwrap();
    assert_eq!(slow.next().await, Some(Err(WatcherError::Lagged)));
    assert!(slow.next().await.is_none());
    let mut left = watch(&watcher, provider, JobRole::Provider, Some(0)).await;
    assert_eq!(words(&next(&mut left, 1).await), [("posted", last)]);
    running.stop().await;
    assert!(left.next().await.is_none(), "a stopped watcher ends its streams");
}
