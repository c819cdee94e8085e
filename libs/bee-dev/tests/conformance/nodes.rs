//! The nodes under test.

use std::time::Duration;

use bytes::Bytes;
use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults};
use t4t_clock::SystemClock;
use t4t_swarm::{Bee, BeeConfig, BuyStamp, Message, Patience, Subscription, SwarmError};
use t4t_types::{BatchId, Overlay, Xbzz};

/// Longest wait for anything: purchases on a real chain take a minute.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// What a reader on another node waits.
pub(crate) const PATIENCE: Patience = Patience::up_to(Duration::from_secs(60));

/// Two nodes and a batch on the first.
pub(crate) struct Nodes {
    pub(crate) sender: Bee,
    pub(crate) receiver: Bee,
    pub(crate) overlay: Overlay,
    pub(crate) batch: BatchId,
    /// Empty when the nodes are real.
    _network: Option<BeeDev>,
}

pub(crate) fn bee(url: &str) -> Bee {
    Bee::new(BeeConfig::new(url.parse().unwrap()), SystemClock::shared()).unwrap()
}

impl Nodes {
    pub(crate) async fn start() -> Self {
        let named = std::env::var("T4T_BEE_URLS").unwrap_or_default();
        let mut urls: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
        let mut network = None;
        if urls.is_empty() {
            let config = BeeDevConfig { faults: Faults::realistic(), ..BeeDevConfig::default() };
            let started = BeeDev::start(config).await.unwrap();
            urls = started.urls();
            network = Some(started);
        }
        assert!(urls.len() >= 2, "two nodes are needed");
        let (sender, receiver) = (bee(&urls[0]), bee(&urls[1]));
        let overlay = receiver.addresses().await.unwrap().overlay;
        let batch = usable_batch(&sender).await;
        Self { sender, receiver, overlay, batch, _network: network }
    }

    pub(crate) fn is_real() -> bool {
        std::env::var("T4T_BEE_URLS").is_ok_and(|urls| !urls.trim().is_empty())
    }

    /// A topic that no other run uses.
    pub(crate) fn topic() -> String {
        let mut topic = [0; 32];
        getrandom::fill(&mut topic).unwrap();
        hex::encode(topic)
    }

    pub(crate) fn message(&self, topic: &str, payload: impl Into<Bytes>) -> Message {
        let (path_topic, payload) = (topic.to_owned(), payload.into());
        Message { path_topic, target: self.overlay, target_bits: 8, recipient: None, payload }
    }
}

/// The next message, within the limit.
pub(crate) async fn next(subscription: &mut Subscription) -> Bytes {
    let next = t4t_clock::timeout(&SystemClock, LIMIT, subscription.next()).await;
    next.expect("a message arrives").expect("the subscription lives")
}

pub(crate) fn order(amount: Xbzz, label: &str) -> BuyStamp {
    BuyStamp { amount, depth: 20, label: label.to_owned(), immutable: false }
}

/// A day's amount at the node's price, and a little.
pub(crate) async fn day(bee: &Bee) -> Xbzz {
    bee.chain_state().await.unwrap().current_price.checked_mul(17_280 + 100).unwrap()
}

/// Held while a batch is looked for or bought: of two purchases at once on one node, the second is refused.
static BUYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A batch of the node that pays; the first test that finds none buys one, and all others wait for it.
pub(crate) async fn usable_batch(bee: &Bee) -> BatchId {
    let _one_at_a_time = BUYING.lock().await;
    let stamps = bee.stamps().await.unwrap();
    if let Some(stamp) = stamps.iter().find(|stamp| stamp.usable && stamp.usage_ratio() < 0.5) {
        return stamp.batch_id;
    }
    // Bought by an earlier run, and not shown as usable yet.
    if let Some(pending) = stamps.iter().find(|stamp| stamp.label == "conformance" && !stamp.usable) {
        wait_usable(bee, &pending.batch_id).await;
        return pending.batch_id;
    }
    let order = order(day(bee).await, "conformance");
    let batch = bee.buy_stamp(&order).await.unwrap().batch_id;
    wait_usable(bee, &batch).await;
    batch
}

pub(crate) async fn wait_usable(bee: &Bee, batch: &BatchId) {
    let clock = SystemClock::shared();
    let polling = async {
        loop {
            match bee.stamp(batch).await {
                Ok(stamp) if stamp.usable => return,
                Ok(_) | Err(SwarmError::StampUnusable { .. } | SwarmError::NotFound(_)) => {}
                Err(error) => panic!("{error}"),
            }
            clock.sleep(Duration::from_millis(50)).await;
        }
    };
    t4t_clock::timeout(&SystemClock, LIMIT, polling).await.expect("the batch becomes usable");
}
