//! What real nodes did to people, played here: slow pushing, a node without a network, freezes, hidden batches, light nodes.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use t4t_bee_dev::{BeeDev, BeeDevConfig, CutOff, Faults, Frozen, Light};
use t4t_clock::{Clock, SharedClock, SystemClock, timeout};
use t4t_swarm::chunk::{Redundancy, root_reference};
use t4t_swarm::{
    Admission, Bee, BeeConfig, BuyStamp, Patience, StampKeeper, StampKeeperConfig, SwarmError, Upload,
};
use t4t_types::{BatchId, Xbzz};

/// How much faster than ours time passes in the tests about half minutes.
const FASTER: u32 = 40;

/// A clock that runs faster.
#[derive(Debug)]
struct FastClock {
    began: Instant,
    began_ms: u64,
}

impl FastClock {
    fn shared() -> SharedClock {
        Arc::new(Self { began: Instant::now(), began_ms: SystemClock.unix_millis() })
    }
}

#[async_trait]
impl Clock for FastClock {
    fn unix_millis(&self) -> u64 {
        self.began_ms + (self.began.elapsed() * FASTER).as_millis() as u64
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration / FASTER).await;
    }
}

struct World {
    network: BeeDev,
    sender: Bee,
    receiver: Bee,
    batch: BatchId,
}

async fn world(faults: Faults, clock: SharedClock) -> World {
    let config = BeeDevConfig { seed: Some(7), clock: clock.clone(), ..BeeDevConfig::default() };
    let network = BeeDev::start(config).await.unwrap();
    let bee = |url: &String| Bee::new(BeeConfig::new(url.parse().unwrap()), clock.clone()).unwrap();
    let nodes: Vec<Bee> = network.urls().iter().map(bee).collect();
    let amount = Xbzz::from_plur(24_000 * 17_280 * 30);
    let order = BuyStamp { amount, depth: 20, label: "t4t".to_owned(), immutable: false };
    let batch = nodes[0].buy_stamp(&order).await.unwrap().batch_id;
    network.faults().set(faults);
    World { network, sender: nodes[0].clone(), receiver: nodes[1].clone(), batch }
}

fn random(length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    getrandom::fill(&mut data).unwrap();
    data
}

#[tokio::test]
async fn a_deferred_upload_becomes_readable_at_its_rate() {
    let faults = Faults { deferred_bytes_a_second: 500_000, ..Faults::default() };
    let world = world(faults, SystemClock::shared()).await;
    let data = random(200_000);
    let reference = world.sender.upload(&world.batch, data.clone(), Upload::Deferred).await.unwrap();
    let hasty = world.receiver.download(&reference, 300_000, Patience::once()).await.unwrap_err();
    assert!(matches!(hasty, SwarmError::NotFound(_)), "{hasty:?}");
    let began = Instant::now();
    let patient = Patience::up_to(Duration::from_secs(60));
    assert_eq!(world.receiver.download(&reference, 300_000, patient).await.unwrap(), data);
    assert!(began.elapsed() > Duration::from_millis(100), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_pushed_upload_returns_when_another_node_can_read_it() {
    let faults = Faults { deferred_bytes_a_second: 500_000, ..Faults::default() };
    let world = world(faults, SystemClock::shared()).await;
    let data = random(300_000);
    let began = Instant::now();
    let reference = world.sender.upload(&world.batch, data.clone(), Upload::Pushed).await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(world.receiver.download(&reference, 300_000, Patience::once()).await.unwrap(), data);
}

#[tokio::test]
async fn a_pushed_upload_that_gets_nowhere_is_told_from_a_slow_one() {
    let clock = FastClock::shared();
    let cut_off = Some(CutOff { node: 0, answers_after_ms: 30_000 });
    let world = world(Faults { cut_off, ..Faults::default() }, clock.clone()).await;
    let stuck = world.sender.upload(&world.batch, random(300_000), Upload::Pushed).await.unwrap_err();
    assert!(matches!(stuck, SwarmError::NotPassedOn { bytes: 300_000, .. }), "{stuck:?}");
    // Slower than that would take without a pause in between.
    world.network.faults().set(Faults { deferred_bytes_a_second: 10_000, ..Faults::default() });
    let began_ms = clock.unix_millis();
    world.sender.upload(&world.batch, random(400_000), Upload::Pushed).await.unwrap();
    assert!(clock.unix_millis() - began_ms > 40_000);
}

#[tokio::test]
async fn a_node_that_passes_nothing_on_is_named_and_a_probe_finds_when_it_does_again() {
    let cut_off = Some(CutOff { node: 0, answers_after_ms: 30_000 });
    let world = world(Faults { cut_off, ..Faults::default() }, FastClock::shared()).await;
    let config = StampKeeperConfig { batch: Some(world.batch), ..StampKeeperConfig::default() };
    let keeper = StampKeeper::new(world.sender.clone(), config);
    let reference = keeper.upload("for nobody", Upload::Direct).await.unwrap();
    let missed = world.receiver.download(&reference, 100, Patience::once()).await.unwrap_err();
    assert!(matches!(missed, SwarmError::NotFound(_)), "201 and reached nobody: {missed:?}");
    let trouble = keeper.trouble().unwrap();
    assert!(trouble.reason.contains("does not pass chunks on"), "{trouble}");
    assert!(trouble.next_step.contains("peers"), "{trouble}");
    assert!(keeper.probe_outbound().await.unwrap().is_some(), "it still does not");
    assert!(keeper.check().await.is_some(), "a batch that pays proves nothing");
    world.network.faults().set(Faults::default());
    assert_eq!(keeper.probe_outbound().await.unwrap(), None);
    assert_eq!(keeper.trouble(), None);
}

#[tokio::test]
async fn an_upload_that_is_given_up_after_ten_seconds_is_a_doubt_about_the_node() {
    let clock = FastClock::shared();
    let cut_off = Some(CutOff { node: 0, answers_after_ms: 30_000 });
    let world = world(Faults { cut_off, ..Faults::default() }, clock.clone()).await;
    let config = StampKeeperConfig { batch: Some(world.batch), ..StampKeeperConfig::default() };
    let keeper = StampKeeper::new(world.sender.clone(), config);
    keeper.resolve().await.unwrap();
    let given_up = timeout(&*clock, Duration::from_secs(5), keeper.upload("x", Upload::Direct)).await;
    assert!(given_up.is_err() && keeper.trouble().is_none(), "five seconds say nothing");
    let given_up = timeout(&*clock, Duration::from_secs(12), keeper.upload("y", Upload::Direct)).await;
    assert!(given_up.is_err() && keeper.trouble().is_some());
}

/// Room that is counted.
struct Counted(AtomicUsize);

#[async_trait]
impl Admission for Counted {
    async fn admit(&self, bytes: usize) -> Result<usize, SwarmError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.max(65_536))
    }
}

#[tokio::test]
async fn content_of_any_size_is_asked_for_once() {
    let world = world(Faults::default(), SystemClock::shared()).await;
    let data = random(3_000_000);
    let reference = world.sender.upload(&world.batch, data.clone(), Upload::Deferred).await.unwrap();
    world.network.faults().set(Faults {
        download_bytes_a_second: 6_000_000,
        retrieval_ms: 1000,
        ..Faults::default()
    });
    let room = Counted(AtomicUsize::new(0));
    let patience = Patience::up_to(Duration::from_secs(30));
    let read = world.receiver.download_admitted(&reference, patience, &room).await.unwrap();
    assert_eq!((read.len(), read == data), (3_000_000, true));
    assert_eq!(world.network.faults().counts()["download at a rate"], 1, "never broken off and begun anew");
    assert_eq!(room.0.load(Ordering::Relaxed), 1, "let in once, by its size");
}

#[tokio::test]
async fn a_download_that_is_broken_off_begins_from_nothing() {
    let faults = Faults { download_bytes_a_second: 500_000, ..Faults::default() };
    let world = world(faults, SystemClock::shared()).await;
    let data = random(200_000);
    let reference = world.sender.upload(&world.batch, data.clone(), Upload::Direct).await.unwrap();
    let read = || world.receiver.download(&reference, 300_000, Patience::once());
    let broken_off = timeout(&SystemClock, Duration::from_millis(250), read()).await;
    assert!(broken_off.is_err());
    let began = Instant::now();
    assert_eq!(read().await.unwrap(), data);
    assert!(began.elapsed() > Duration::from_millis(300), "all of it once more: {:?}", began.elapsed());
    assert_eq!(world.network.faults().counts()["download at a rate"], 2);
}

#[tokio::test]
async fn an_open_download_waits_for_content_that_is_being_pushed() {
    let faults = Faults { deferred_bytes_a_second: 500_000, retrieval_ms: 30_000, ..Faults::default() };
    let world = world(faults, SystemClock::shared()).await;
    let data = random(200_000);
    let reference = world.sender.upload(&world.batch, data.clone(), Upload::Deferred).await.unwrap();
    assert_eq!(world.receiver.download(&reference, 300_000, Patience::once()).await.unwrap(), data);
}

#[tokio::test]
async fn a_frozen_node_answers_when_it_thaws() {
    let clock = FastClock::shared();
    let world = world(Faults::default(), clock.clone()).await;
    world
        .network
        .faults()
        .set(Faults { frozen: Some(Frozen { node: 0, for_ms: 8_000 }), ..Faults::default() });
    let began_ms = clock.unix_millis();
    world.receiver.health().await.unwrap();
    world.sender.health().await.unwrap();
    let passed_ms = clock.unix_millis() - began_ms;
    assert!((7_000..10_000).contains(&passed_ms), "{passed_ms}");
    world.sender.health().await.unwrap();
    assert!(clock.unix_millis() - began_ms < passed_ms + 2_000, "it is over");
}

#[tokio::test]
async fn what_arrives_tells_a_node_that_receives_and_not_what_it_says_of_its_mode() {
    let world = world(Faults::default(), SystemClock::shared()).await;
    let light = |receives| Faults { light: Some(Light { node: 0, receives }), ..Faults::default() };
    let hears = || world.sender.hears_itself(&world.batch, Duration::from_millis(800));
    assert!(hears().await.unwrap());
    world.network.faults().set(light(false));
    assert!(!world.sender.node().await.unwrap().bee_mode.receives_messages());
    assert!(!hears().await.unwrap());
    world.network.faults().set(light(true));
    assert!(hears().await.unwrap());
}

#[tokio::test]
async fn content_with_parity_chunks_lies_elsewhere_is_read_as_ever_and_costs_what_is_said() {
    let world = world(Faults::default(), SystemClock::shared()).await;
    let stamps = async || {
        let url = format!("{}stamps/{}/buckets", world.sender.config().api_url, world.batch);
        let buckets: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let counts = buckets["buckets"].as_array().unwrap().iter();
        counts.map(|bucket| bucket["collisions"].as_u64().unwrap()).sum::<u64>() as usize
    };
    for level in 0..=4 {
        let level = Redundancy::of_level(level).unwrap();
        let (data, before) = (random(10_000), stamps().await);
        let stored = world.sender.upload_at(&world.batch, data.clone(), Upload::Direct, level).await.unwrap();
        assert_eq!(stored == root_reference(&data), level == Redundancy::None, "{level:?}");
        assert_eq!(stamps().await - before, level.stamps(10_000), "{level:?}");
        assert_eq!(world.receiver.download(&stored, 10_000, Patience::once()).await.unwrap(), data);
    }
}
