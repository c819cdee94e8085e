//! Providers, offers, liveness and counts.

use std::time::Duration;

use t4t_api::registry_watcher::{
    GetHead, GetJob, JobRole, ListCandidates, ListModels, ListProviders, WatcherError,
};
use t4t_registry_watcher::{SyncState, WatcherConfig};
use t4t_testkit::anvil::dev_key;
use t4t_types::{Address, JobId, JobStatus, Xbzz};

use crate::world::{LIMIT, PRICE, World, addresses, candidates, listed, next, offer, watch, words};

const MODEL: &str = "llama3:8b";

#[actix_web::test]
async fn what_a_provider_does_is_seen_in_one_look() {
    let world = World::start().await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    assert!(addresses(&watcher, MODEL).await.is_empty());

    let first = world.register(1, &[offer(MODEL, 3, 5)]).await;
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&watcher, MODEL).await, [first]);

    let second = world.register(2, &[offer("other", 1, 1), offer(MODEL, 1, 1)]).await;
    world.transact(1, world.market.addresses.registry().update_offerings(&[offer("new", 1, 1)])).await;
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&watcher, MODEL).await, [second]);
    assert_eq!(addresses(&watcher, "new").await, [first]);

    world.transact(2, world.market.addresses.registry().set_max_concurrent_jobs(7)).await;
    world.transact(1, world.market.addresses.registry().deactivate()).await;
    running.sync_once().await.unwrap();
    assert!(addresses(&watcher, "new").await.is_empty());
    assert_eq!(candidates(&watcher, MODEL).await[0].max_concurrent_jobs, 7);
    let gone = listed(&watcher, first).await.unwrap();
    assert!(!gone.active && !gone.live && gone.offerings.len() == 1);
}

#[actix_web::test]
async fn a_provider_lives_by_the_chains_clock() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    assert_eq!(addresses(&watcher, MODEL).await, [provider]);

    world.anvil.advance_time(700).await.unwrap();
    running.sync_once().await.unwrap();
    assert!(addresses(&watcher, MODEL).await.is_empty());
    let asked =
        ListCandidates { model: MODEL.parse().unwrap(), max_combined_price: None, provider: Some(provider) };
    let named = watcher.ask(asked).await.unwrap();
    assert!(named.len() == 1 && !named[0].live, "a provider asked for by name comes live or not");

    world.heartbeat(1).await;
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&watcher, MODEL).await, [provider]);
}

#[actix_web::test]
async fn candidates_come_in_the_registrys_order_and_below_the_price_cap() {
    let world = World::start().await;
    let dear = world.register(3, &[offer(MODEL, 30, 50)]).await;
    let cheap = world.register(1, &[offer(MODEL, 3, 5), offer(MODEL, 1, 1)]).await;
    let middle = world.register(2, &[offer(MODEL, 10, 10)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    assert_eq!(addresses(&watcher, MODEL).await, [dear, cheap, middle]);

    let capped = |cap, provider| ListCandidates {
        model: MODEL.parse().unwrap(),
        max_combined_price: Some(Xbzz::from_plur(cap)),
        provider,
    };
    let found = watcher.ask(capped(20, None)).await.unwrap();
    assert_eq!(found.iter().map(|found| found.provider).collect::<Vec<_>>(), [cheap, middle]);
    // The first offer of a model is the one that counts, and its price is what is paid.
    assert_eq!(found[0].prices, offer(MODEL, 3, 5).prices);
    assert!(watcher.ask(capped(7, None)).await.unwrap().is_empty());
    assert!(watcher.ask(capped(79, Some(dear))).await.unwrap().is_empty());

    let models = watcher.ask(ListModels {}).await.unwrap();
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].providers, models[0].cheapest), (3, offer(MODEL, 3, 5).prices));
}

#[actix_web::test]
async fn open_jobs_and_reputation_follow_the_chain() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let before = world.post(provider).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    assert_eq!(candidates(&watcher, MODEL).await[0].open_jobs, 1);

    let jobs = [world.post(provider).await, world.post(provider).await];
    running.sync_once().await.unwrap();
    assert_eq!(candidates(&watcher, MODEL).await[0].open_jobs, 3);

    world.claim(1, before).await;
    world.claim(1, jobs[0]).await;
    running.sync_once().await.unwrap();
    let counted = candidates(&watcher, MODEL).await[0].clone();
    assert_eq!((counted.open_jobs, counted.total_jobs, counted.successful_jobs), (1, 2, 2));

    world.anvil.advance_time(31).await.unwrap();
    world.heartbeat(1).await;
    let cancel = world.market.addresses.escrow().cancel_job(jobs[1]);
    world.transact(crate::world::CLIENT, cancel).await;
    running.sync_once().await.unwrap();
    let counted = listed(&watcher, provider).await.unwrap();
    assert_eq!((counted.open_jobs, counted.total_jobs, counted.successful_jobs), (0, 3, 2));
    // What is left of the stake is below the minimum, so our registry refuses jobs for it.
    assert!(counted.active && !counted.live && counted.stake < Xbzz::from_whole(100));
    assert!(addresses(&watcher, MODEL).await.is_empty());
}

#[actix_web::test]
async fn counts_are_right_without_a_read_for_each_job() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let rpc = world.rpc();
    let config = WatcherConfig { refresh_interval: Duration::from_secs(3600), ..world.config() };
    let running = world.start_watcher(config, rpc.clone()).await;
    running.sync_once().await.unwrap();
    let job = world.post(provider).await;
    running.sync_once().await.unwrap();
    let calls = rpc.counts().methods.get("eth_call").copied();
    let mut last = job;
    for _ in 0..3 {
        last = world.post(provider).await;
    }
    running.sync_once().await.unwrap();
    assert_eq!(candidates(&running.watcher(), MODEL).await[0].open_jobs, 4);
    world.claim(1, last).await;
    running.sync_once().await.unwrap();
    assert_eq!(candidates(&running.watcher(), MODEL).await[0].open_jobs, 3);
    assert_eq!(rpc.counts().methods.get("eth_call").copied(), calls);
}

#[actix_web::test]
async fn a_provider_that_left_for_good_is_gone_and_may_come_back() {
    let world = World::start().await;
    let first = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let second = world.register(2, &[offer(MODEL, 3, 5)]).await;
    let third = world.register(3, &[offer(MODEL, 3, 5)]).await;
    let running = world.watcher().await;
    let registry = world.market.addresses.registry();
    world.transact(1, registry.deactivate()).await;
    world.anvil.advance_time(3 * 24 * 3600).await.unwrap();
    world.transact(1, registry.withdraw_stake()).await;
    world.heartbeat(2).await;
    world.heartbeat(3).await;
    running.sync_once().await.unwrap();
    let watcher = running.watcher();
    assert!(listed(&watcher, first).await.is_none());
    assert_eq!(addresses(&watcher, MODEL).await, [third, second], "our registry moves the last one up");
    world.register(1, &[offer(MODEL, 3, 5)]).await;
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&watcher, MODEL).await, [third, second, first]);
}

#[actix_web::test]
async fn what_a_hostile_provider_writes_does_not_break_the_others() {
    let world = World::start().await;
    let mut garbage: Vec<_> =
        (0..60).map(|number| offer(&format!("spam-{number}-{}", "x".repeat(80)), 0, 0)).collect();
    garbage.extend(["", "a\nb", "\u{0}", MODEL].map(|model| offer(model, u128::MAX, u128::MAX)));
    world.register(1, &garbage).await;
    let good = world.register(2, &[offer(MODEL, 3, 5)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    let capped = ListCandidates {
        model: MODEL.parse().unwrap(),
        max_combined_price: Some(Xbzz::from_plur(10)),
        provider: None,
    };
    let found = watcher.ask(capped).await.unwrap();
    assert_eq!(found.iter().map(|found| found.provider).collect::<Vec<_>>(), [good]);
    assert_eq!(listed(&watcher, dev_key(1).address()).await.unwrap().offerings.len(), 61);
    let models = watcher.ask(ListModels {}).await.unwrap();
    let real = models.iter().find(|listing| listing.model.as_str() == MODEL).unwrap();
    assert_eq!((real.providers, real.cheapest), (2, offer(MODEL, 3, 5).prices));
}

#[actix_web::test]
async fn a_thousand_questions_cost_no_call() {
    let world = World::start().await;
    world.register(1, &[offer(MODEL, 3, 5)]).await;
    let rpc = world.rpc();
    let running = world.start_watcher(world.config(), rpc.clone()).await;
    running.sync_once().await.unwrap();
    running.sync_once().await.unwrap();
    let (calls, watcher) = (rpc.calls(), running.watcher());
    for _ in 0..1000 {
        assert_eq!(candidates(&watcher, MODEL).await.len(), 1);
    }
    watcher.ask(GetHead {}).await.unwrap();
    watcher.ask(ListModels {}).await.unwrap();
    assert_eq!(rpc.calls(), calls);
    let requests = rpc.counts().requests;
    running.sync_once().await.unwrap();
    assert_eq!(rpc.counts().requests, requests + 1, "a look at a quiet chain is one request");
}

#[actix_web::test]
async fn a_job_and_a_named_provider_are_read_from_the_chain_at_once() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 3, 5)]).await;
    let running = world.watcher().await;
    let watcher = running.watcher();
    let job = world.post(provider).await;
    let terms = watcher.ask(GetJob { job }).await.unwrap();
    assert_eq!((terms.status, terms.max_payment, terms.provider), (JobStatus::Pending, PRICE, provider));
    assert_eq!(watcher.ask(GetJob { job: JobId::ZERO }).await.unwrap().status, JobStatus::None);

    let late = world.register(2, &[]).await;
    let asked = |provider| ListProviders { provider: Some(provider) };
    assert_eq!(watcher.ask(asked(late)).await.unwrap()[0].stake, Xbzz::from_whole(100));
    assert!(watcher.ask(asked(Address::new([7; 20]))).await.unwrap().is_empty());
    assert!(listed(&watcher, late).await.is_none());
}

#[actix_web::test]
async fn the_registry_is_read_page_by_page_and_read_again_to_mend_what_was_missed() {
    let world = World::start().await;
    for wallet in 1..=5 {
        world.register(wallet, &[offer(MODEL, 3, 5)]).await;
    }
    let config = WatcherConfig { list_page: 2, reread_interval: Duration::ZERO, ..world.config() };
    let running = world.start_watcher(config, world.rpc()).await;
    let mut state = running.synced();
    let ready = t4t_clock::timeout(&t4t_clock::SystemClock, LIMIT, state.wait_for(SyncState::is_ready));
    ready.await.unwrap().unwrap();
    let expected: Vec<Address> = (1..=5).map(|wallet| dev_key(wallet).address()).collect();
    assert_eq!(addresses(&running.watcher(), MODEL).await, expected);
    for _ in 0..4 {
        running.sync_once().await.unwrap();
    }
    assert_eq!(addresses(&running.watcher(), MODEL).await, expected);
}

#[actix_web::test]
async fn questions_are_refused_until_the_registry_was_read() {
    let world = World::start().await;
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let running = world.start_watcher(world.config(), world.rpc_at(nowhere)).await;
    assert!(running.sync_once().await.is_err());
    assert_eq!(running.watcher().ask(GetHead {}).await, Err(WatcherError::NotReady));
    assert!(!running.synced().borrow().is_ready());
    running.stop().await;
}

#[actix_web::test]
async fn jobs_are_followed_while_the_registry_can_not_be_read() {
    let world = World::start().await;
    let provider = world.register(1, &[offer(MODEL, 1, 2)]).await;
    let mut config = world.config();
    config.contracts.registry = dev_key(9).address();
    let running = world.start_watcher(config, world.rpc()).await;
    assert!(running.sync_once().await.is_err(), "there is no registry at a wallet's address");
    let head = running.watcher().ask(GetHead {}).await.unwrap();
    assert!(!head.is_registry_read);
    assert_eq!(running.watcher().ask(ListModels {}).await, Err(WatcherError::NotReady));
    let job = world.post(provider).await;
    assert!(running.sync_once().await.is_err());
    assert!(running.watcher().ask(GetHead {}).await.unwrap().block > head.block);
    let mut events = watch(&running.watcher(), provider, JobRole::Provider, Some(0)).await;
    assert_eq!(words(&next(&mut events, 1).await), [("posted", job)]);
    running.stop().await;
}
