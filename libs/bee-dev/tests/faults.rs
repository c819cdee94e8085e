//! What the client makes of a node that misbehaves.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults, InjectedError};
use t4t_clock::{SystemClock, timeout};
use t4t_swarm::{
    Bee, BeeConfig, BuyStamp, LinkState, Message, Patience, Sent, StampKeeper, StampKeeperConfig,
    Subscription, SwarmError, Upload,
};
use t4t_types::{BatchId, Xbzz};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "aa";

struct World {
    network: BeeDev,
    sender: Bee,
    receiver: Bee,
    batch: BatchId,
}

async fn world(config: BeeDevConfig) -> World {
    let network = BeeDev::start(BeeDevConfig { seed: Some(7), ..config }).await.unwrap();
    let urls = network.urls();
    let quick = |url: &str| BeeConfig {
        silence_limit: Duration::from_millis(400),
        redial_first: Duration::from_millis(20),
        ..BeeConfig::new(url.parse().unwrap())
    };
    let bee = |url: &str| Bee::new(quick(url), SystemClock::shared()).unwrap();
    let (sender, receiver) = (bee(&urls[0]), bee(&urls[1]));
    let batch = buy(&sender, 20, false).await;
    World { network, sender, receiver, batch }
}

async fn buy(bee: &Bee, depth: u8, immutable: bool) -> BatchId {
    let amount = Xbzz::from_plur(24_000 * 17_280 * 30);
    let order = BuyStamp { amount, depth, label: "test".to_owned(), immutable };
    bee.buy_stamp(&order).await.unwrap().batch_id
}

impl World {
    async fn inbox(&self) -> Subscription {
        let inbox = self.receiver.subscribe(TOPIC);
        inbox.wait_connected(LIMIT).await.unwrap();
        inbox
    }

    async fn message(&self, payload: impl Into<Bytes>) -> Message {
        let target = self.receiver.addresses().await.unwrap().overlay;
        let (path_topic, payload) = (TOPIC.to_owned(), payload.into());
        Message { path_topic, target, target_bits: 8, recipient: None, payload }
    }

    async fn send(&self, payload: impl Into<Bytes>) -> Sent {
        let message = self.message(payload).await;
        self.sender.send_message(&message, &self.batch).await.unwrap()
    }
}

async fn next(inbox: &mut Subscription) -> Bytes {
    timeout(&SystemClock, LIMIT, inbox.next()).await.unwrap().unwrap()
}

async fn wait_state(inbox: &Subscription, wanted: LinkState) {
    let mut state = inbox.state();
    let reached = timeout(&SystemClock, LIMIT, state.wait_for(|state| *state == wanted)).await;
    assert!(reached.is_ok_and(|state| state.is_ok()), "the link becomes {wanted:?}");
}

#[tokio::test]
async fn a_socket_that_falls_silent_is_dialled_anew() {
    let world =
        world(BeeDevConfig { ping_period: Duration::from_millis(50), ..BeeDevConfig::default() }).await;
    let mut inbox = world.inbox().await;
    world.network.faults().change(|faults| faults.silent_sockets = true);
    wait_state(&inbox, LinkState::Down).await;
    world.network.faults().change(|faults| faults.silent_sockets = false);
    wait_state(&inbox, LinkState::Up).await;
    world.send("after the silence").await;
    assert_eq!(next(&mut inbox).await, "after the silence");
}

#[tokio::test]
async fn pings_keep_a_quiet_socket_up() {
    let world =
        world(BeeDevConfig { ping_period: Duration::from_millis(50), ..BeeDevConfig::default() }).await;
    let inbox = world.inbox().await;
    let mut state = inbox.state();
    state.mark_unchanged();
    let quiet = timeout(&SystemClock, Duration::from_millis(1200), state.changed()).await;
    assert!(quiet.is_err(), "the link changed though pings came");
}

#[tokio::test]
async fn a_cut_subscription_comes_back_by_itself() {
    let world = world(BeeDevConfig::default()).await;
    let mut inbox = world.inbox().await;
    for round in 0..3u8 {
        let mut state = inbox.state();
        state.mark_unchanged();
        world.network.faults().cut_subscriptions();
        timeout(&SystemClock, LIMIT, state.changed()).await.unwrap().unwrap();
        inbox.wait_connected(LIMIT).await.unwrap();
        world.send(vec![round]).await;
        assert_eq!(next(&mut inbox).await, vec![round]);
    }
}

#[tokio::test]
async fn empty_frames_are_dropped() {
    let faults = Faults { empty_frames: 3, ..Faults::default() };
    let world = world(BeeDevConfig { faults, ..BeeDevConfig::default() }).await;
    let mut inbox = world.inbox().await;
    for text in ["a", "b"] {
        world.send(text).await;
        assert_eq!(next(&mut inbox).await, text);
    }
}

#[tokio::test]
async fn a_slow_reader_loses_messages_and_knows_it() {
    let world = world(BeeDevConfig::default()).await;
    let config = BeeConfig { subscription_buffer: 1, ..world.receiver.config().clone() };
    let reader = Bee::new(config, SystemClock::shared()).unwrap();
    let inbox = reader.subscribe(TOPIC);
    inbox.wait_connected(LIMIT).await.unwrap();
    let losing = async {
        while inbox.lost() == 0 {
            world.send("x").await;
        }
    };
    timeout(&SystemClock, LIMIT, losing).await.unwrap();
}

#[tokio::test]
async fn messages_are_lost_doubled_and_overtaken_on_demand() {
    let world = world(BeeDevConfig::default()).await;
    let mut inbox = world.inbox().await;
    world.network.faults().set(Faults { drop_messages: 1.0, ..Faults::default() });
    world.send("lost").await;
    world.network.faults().set(Faults { duplicate_messages: 1.0, ..Faults::default() });
    world.send("twice").await;
    assert_eq!([next(&mut inbox).await, next(&mut inbox).await], ["twice", "twice"]);

    world.network.faults().set(Faults { reorder_messages: 1.0, ..Faults::default() });
    world.send("first").await;
    world.network.faults().set(Faults::default());
    world.send("second").await;
    let arrived = BTreeSet::from([next(&mut inbox).await, next(&mut inbox).await]);
    assert_eq!(arrived, BTreeSet::from(["first".into(), "second".into()]));
}

#[tokio::test]
async fn a_message_for_another_neighbourhood_does_not_arrive() {
    let world = world(BeeDevConfig::default()).await;
    let mut inbox = world.inbox().await;
    let mut astray = world.message("astray").await;
    astray.target = world.sender.addresses().await.unwrap().overlay;
    world.sender.send_message(&astray, &world.batch).await.unwrap();
    world.send("here").await;
    assert_eq!(next(&mut inbox).await, "here");
}

#[tokio::test]
async fn a_node_that_takes_no_chunks_mines_the_message_itself() {
    let faults = Faults { refuse_chunks: true, ..Faults::default() };
    let world = world(BeeDevConfig { faults, ..BeeDevConfig::default() }).await;
    let mut inbox = world.inbox().await;
    assert_eq!(world.send("mined there").await, Sent::ByNode);
    assert_eq!(next(&mut inbox).await, "mined there");
}

#[tokio::test]
async fn patience_outlasts_content_that_comes_late() {
    let world = world(BeeDevConfig::default()).await;
    let reference = world.sender.upload(&world.batch, "late", Upload::Direct).await.unwrap();
    world.network.faults().set(Faults { not_found_first_n: 2, ..Faults::default() });
    let hasty = world.receiver.download(&reference, 10, Patience::once()).await.unwrap_err();
    assert!(matches!(hasty, SwarmError::NotFound(_)), "{hasty:?}");
    assert_eq!(world.receiver.download(&reference, 10, Patience::up_to(LIMIT)).await.unwrap(), "late");

    let unavailable = InjectedError { probability: 1.0, status: 503 };
    world.network.faults().set(Faults { download_error: Some(unavailable), ..Faults::default() });
    let short = Patience::up_to(Duration::from_millis(300));
    let refused = world.receiver.download(&reference, 10, short).await.unwrap_err();
    assert!(matches!(refused, SwarmError::Node { status: 503, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_deferred_upload_is_missed_at_first_and_read_in_the_end() {
    let faults = Faults { deferred_delay_ms: 500, ..Faults::default() };
    let world = world(BeeDevConfig { faults, ..BeeDevConfig::default() }).await;
    let reference = world.sender.upload(&world.batch, "later", Upload::Deferred).await.unwrap();
    assert_eq!(world.sender.download(&reference, 10, Patience::once()).await.unwrap(), "later");
    assert_eq!(world.receiver.download(&reference, 10, Patience::up_to(LIMIT)).await.unwrap(), "later");
}

#[tokio::test]
async fn an_upload_that_is_never_answered_ends_at_its_limit() {
    let unanswered = InjectedError { probability: 1.0, status: 0 };
    let world = world(BeeDevConfig::default()).await;
    world.network.faults().set(Faults { upload_error: Some(unanswered), ..Faults::default() });
    let limit = Duration::from_millis(200);
    let config = BeeConfig { upload_timeout: limit, ..world.sender.config().clone() };
    let hasty = Bee::new(config, SystemClock::shared()).unwrap();
    let error = hasty.upload(&world.batch, "x", Upload::Direct).await.unwrap_err();
    assert!(matches!(error, SwarmError::TimedOut(after) if after == limit), "{error:?}");
}

#[tokio::test]
async fn errors_of_an_upload_are_told_apart() {
    let world = world(BeeDevConfig::default()).await;
    let upload = async |status| {
        let error = Some(InjectedError { probability: 1.0, status });
        world.network.faults().set(Faults { upload_error: error, ..Faults::default() });
        world.sender.upload(&world.batch, "x", Upload::Direct).await.unwrap_err()
    };
    assert!(matches!(upload(402).await, SwarmError::StampFull(batch) if batch == world.batch));
    assert!(matches!(upload(422).await, SwarmError::StampUnusable { .. }));
    let fault = upload(500).await;
    assert!(matches!(fault, SwarmError::Node { status: 500, .. }) && fault.is_retryable());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable() {
    let world = world(BeeDevConfig::default()).await;
    let gone = world.sender.clone();
    world.network.stop().await;
    let error = gone.health().await.unwrap_err();
    assert!(matches!(error, SwarmError::Unreachable(_)) && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_full_batch_is_diluted_once_however_many_uploads_meet_it() {
    let world = world(BeeDevConfig::default()).await;
    let batch = buy(&world.sender, 17, true).await;
    let config = StampKeeperConfig { batch: Some(batch), ..StampKeeperConfig::default() };
    let keeper = StampKeeper::new(world.sender.clone(), config);
    // Messages to one prefix of two bytes all fall into one bucket, which holds two at depth 17.
    let mut message = world.message("").await;
    message.target_bits = 16;
    for number in 0..2u8 {
        message.payload = vec![number].into();
        keeper.send_message(&message).await.unwrap();
    }
    let third = Message { payload: "third".into(), ..message.clone() };
    let fourth = Message { payload: "fourth".into(), ..message };
    let (third, fourth) = tokio::join!(keeper.send_message(&third), keeper.send_message(&fourth));
    third.unwrap();
    fourth.unwrap();
    assert_eq!(world.sender.stamp(&batch).await.unwrap().depth, 18);
}

#[tokio::test]
async fn a_batch_that_can_not_grow_stays_full() {
    let world = world(BeeDevConfig::default()).await;
    world.network.faults().set(Faults { stamp_full: true, ..Faults::default() });
    let config =
        StampKeeperConfig { batch: Some(world.batch), max_depth: 20, ..StampKeeperConfig::default() };
    let keeper = StampKeeper::new(world.sender.clone(), config);
    let error = keeper.upload("x", Upload::Direct).await.unwrap_err();
    assert!(matches!(error, SwarmError::StampFull(_)), "{error:?}");
}
