//! The same questions over both transports.

use std::sync::Arc;

use t4t_api::registry_watcher::{
    GetHead, GetJob, JobRole, ListModels, ListProviders, LookClosely, WatcherError,
};
use t4t_api::{Guard, HttpClient, HttpClientConfig, RegistryWatcher};
use t4t_registry_watcher::{Running, routes};
use t4t_runtime::config::Bind;
use t4t_runtime::http::{RunningServer, ServeConfig, serve};
use t4t_types::JobId;

use crate::world::{World, candidates, listed, next, offer, watch, words};

fn over_http(running: &Running) -> (RunningServer, Arc<dyn RegistryWatcher>) {
    let (guard, watcher) = (Guard::new("registry-watcher", "secret".into()), running.watcher());
    let bind = Bind { address: ([127, 0, 0, 1], 0).into(), port_setting: "T4T_WATCHER_PORT" };
    let config = ServeConfig { name: "registry-watcher", bind, guarded: false };
    let server = serve(config, move |config| routes(config, &guard, &watcher)).unwrap();
    let url = server.url().parse().unwrap();
    let client =
        HttpClient::new(HttpClientConfig { service: "registry-watcher", url, token: "secret".into() });
    (server, Arc::new(client.unwrap()))
}

/// What every transport promises.
async fn promises(world: &World, running: &Running, watcher: Arc<dyn RegistryWatcher>) {
    let found = candidates(&watcher, "m").await;
    assert_eq!(found.len(), 1);
    let provider = found[0].provider;
    assert_eq!(candidates(&watcher, "unknown").await, []);
    let everyone = watcher.ask(ListProviders { provider: None }).await.unwrap();
    assert_eq!(everyone, [listed(&watcher, provider).await.unwrap()]);
    assert_eq!(watcher.ask(ListProviders { provider: Some(provider) }).await.unwrap().len(), 1);
    assert_eq!(watcher.ask(ListModels {}).await.unwrap()[0].providers, 1);
    assert!(watcher.ask(GetHead {}).await.unwrap().block > 0);
    assert!(watcher.ask(GetJob { job: JobId::ZERO }).await.unwrap().client.is_zero());
    watcher.ask(LookClosely { for_ms: 1 }).await.unwrap();

    let mut events = watch(&watcher, provider, JobRole::Provider, Some(0)).await;
    let job = world.post(provider).await;
    running.sync_once().await.unwrap();
    assert_eq!(words(&next(&mut events, 1).await), [("posted", job)]);
    world.claim(1, job).await;
    running.sync_once().await.unwrap();
    assert_eq!(words(&next(&mut events, 1).await), [("claimed", job)]);
}

#[actix_web::test]
async fn a_mailbox_keeps_the_contract() {
    let world = World::start().await;
    world.register(1, &[offer("m", 3, 5)]).await;
    let running = world.watcher().await;
    promises(&world, &running, running.watcher()).await;
}

#[actix_web::test]
async fn http_keeps_the_contract() {
    let world = World::start().await;
    world.register(1, &[offer("m", 3, 5)]).await;
    let running = world.watcher().await;
    let (server, client) = over_http(&running);
    promises(&world, &running, client).await;
    running.stop().await;
    server.stop().await;
}

#[actix_web::test]
async fn an_error_is_the_same_over_http() {
    let world = World::start().await;
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let running = world.start_watcher(world.config(), world.rpc_at(nowhere)).await;
    let (server, client) = over_http(&running);
    assert_eq!(client.ask(ListModels {}).await, Err(WatcherError::NotReady));
    running.stop().await;
    server.stop().await;
}
