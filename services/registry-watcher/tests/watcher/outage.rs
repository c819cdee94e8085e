//! A chain that can't be reached, and one that is looked at closely.

use std::time::Duration;

use t4t_api::registry_watcher::{GetHead, GetJob, LookClosely, WatcherError};
use t4t_registry_watcher::{SyncState, WatcherConfig};
use t4t_testkit::eventually;
use t4t_types::JobId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use crate::world::{LIMIT, World, addresses, offer};

/// A way to the node that can be cut.
struct Line {
    url: Url,
    is_cut: watch::Sender<bool>,
}

impl Line {
    async fn to(node: &Url) -> Self {
        let node = format!("127.0.0.1:{}", node.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let is_cut = watch::Sender::new(false);
        actix_web::rt::spawn(serve(listener, node, is_cut.subscribe()));
        Self { url, is_cut }
    }

    fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

async fn serve(listener: TcpListener, node: String, is_cut: watch::Receiver<bool>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (node, mut is_cut) = (node.clone(), is_cut.clone());
        actix_web::rt::spawn(async move {
            let mut far = TcpStream::connect(node).await.unwrap();
            tokio::select! {
                biased;
                _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            }
        });
    }
}

#[actix_web::test]
async fn an_outage_is_bridged_by_what_is_known_and_ends_by_itself() {
    let world = World::start().await;
    let first = world.register(1, &[offer("m", 3, 5)]).await;
    let line = Line::to(&world.anvil.rpc_url()).await;
    let running = world.start_watcher(world.config(), world.rpc_at(line.url.clone())).await;
    running.sync_once().await.unwrap();
    let watcher = running.watcher();
    let head = watcher.ask(GetHead {}).await.unwrap();

    line.cut(true);
    let second = world.register(2, &[offer("m", 3, 5)]).await;
    assert!(matches!(running.sync_once().await, Err(WatcherError::Chain { .. })));
    assert_eq!(addresses(&watcher, "m").await, [first]);
    assert!(matches!(*running.synced().borrow(), SyncState::Failing { ready: true, .. }));
    assert!(matches!(watcher.ask(GetJob { job: JobId::ZERO }).await, Err(WatcherError::Chain { .. })));
    let stale = watcher.ask(GetHead {}).await.unwrap();
    assert_eq!(stale.block, head.block);
    assert!(stale.age_ms >= head.age_ms);

    line.cut(false);
    running.sync_once().await.unwrap();
    assert_eq!(addresses(&watcher, "m").await, [first, second]);
    assert!(matches!(*running.synced().borrow(), SyncState::Synced { .. }));
}

#[actix_web::test]
async fn a_watcher_that_starts_without_a_chain_answers_once_it_is_there() {
    let world = World::start().await;
    let provider = world.register(1, &[offer("m", 3, 5)]).await;
    let line = Line::to(&world.anvil.rpc_url()).await;
    line.cut(true);
    let config = WatcherConfig { poll_idle: Duration::from_millis(50), ..world.config() };
    let running = world.start_watcher(config, world.rpc_at(line.url.clone())).await;
    let mut state = running.synced();
    let failing = state.wait_for(|state| matches!(state, SyncState::Failing { ready: false, .. }));
    t4t_clock::timeout(&t4t_clock::SystemClock, LIMIT, failing).await.unwrap().unwrap();
    line.cut(false);
    let synced = state.wait_for(|state| matches!(state, SyncState::Synced { .. }));
    t4t_clock::timeout(&t4t_clock::SystemClock, LIMIT, synced).await.unwrap().unwrap();
    assert_eq!(addresses(&running.watcher(), "m").await, [provider]);
    running.stop().await;
}

#[actix_web::test]
async fn looking_closely_shows_a_block_soon_and_costs_a_bounded_number_of_looks() {
    let world = World::start().await;
    world.register(1, &[offer("m", 3, 5)]).await;
    let rpc = world.rpc();
    let config = WatcherConfig { poll_close: Duration::from_millis(15), ..world.config() };
    let running = world.start_watcher(config, rpc.clone()).await;
    running.sync_once().await.unwrap();
    let watcher = running.watcher();
    let head = watcher.ask(GetHead {}).await.unwrap().block;

    world.anvil.mine(1).await.unwrap();
    let (looks, began) = (rpc.counts().requests, std::time::Instant::now());
    for _ in 0..50 {
        watcher.ask(LookClosely { for_ms: 300 }).await.unwrap();
    }
    let seen = eventually(LIMIT, "the new block", async || {
        (watcher.ask(GetHead {}).await.unwrap().block > head).then_some(())
    });
    seen.await.unwrap();
    // Without the hint, the next look would be in an hour.
    let most = 2 + began.elapsed().as_millis() / 15;
    let looks = rpc.counts().requests - looks;
    assert!(u128::from(looks) <= most, "{looks} looks in {:?}", began.elapsed());
}
