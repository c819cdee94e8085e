//! A Swarm in memory, and the node of one side: it loses, repeats, delays and keeps back as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use t4t_swarm::{
    Carrier, LinkState, Message, Patience, Subscription, SwarmError, SwarmTrouble, Upload, chunk,
};
use t4t_types::{Overlay, SwarmRef};
use tokio::sync::{mpsc, watch};

use super::world::{World, lock};

/// Messages that a listener holds.
const BUFFER: usize = 4096;

/// How often content that is not there is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(700);

type Waiting = Box<dyn FnOnce() + Send>;

struct Listener {
    topic: String,
    sender: mpsc::Sender<Bytes>,
    _up: watch::Sender<LinkState>,
}

/// What all nodes hold together.
#[derive(Default)]
pub(crate) struct Swarm {
    content: Mutex<HashMap<SwarmRef, Bytes>>,
    awaited: Mutex<HashMap<SwarmRef, Vec<Waiting>>>,
    listeners: Mutex<Vec<Listener>>,
}

impl Swarm {
    /// Stores content, as any node can.
    pub(crate) fn put(&self, content: impl Into<Bytes>) -> SwarmRef {
        let content = content.into();
        let reference = chunk::root_reference(&content);
        lock(&self.content).insert(reference, content);
        reference
    }

    pub(crate) fn get(&self, reference: &SwarmRef) -> Option<Bytes> {
        lock(&self.content).get(reference).cloned()
    }

    /// Does something once content is there.
    pub(crate) fn when_there(&self, reference: SwarmRef, work: impl FnOnce() + Send + 'static) {
        let content = lock(&self.content);
        if content.contains_key(&reference) {
            drop(content);
            return work();
        }
        lock(&self.awaited).entry(reference).or_default().push(Box::new(work));
    }

    /// Loses what was stored.
    pub(crate) fn forget(&self, reference: &SwarmRef) {
        lock(&self.content).remove(reference);
    }

    /// Brings a message to whoever listens now.
    pub(crate) fn deliver(&self, path_topic: &str, payload: &Bytes) {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|listener| !listener.sender.is_closed());
        for listener in listeners.iter().filter(|listener| listener.topic == path_topic) {
            // A full buffer drops, as a node does.
            drop(listener.sender.try_send(payload.clone()));
        }
    }
}

/// What a node does wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeFaults {
    /// It answers nothing.
    pub(crate) is_down: bool,
    /// No batch pays.
    pub(crate) has_no_stamp: bool,
    /// It takes what it is given and passes nothing on.
    pub(crate) is_stuck: bool,
    /// Messages that are lost from now on.
    pub(crate) messages_lost: u32,
    /// How often each message comes beside the first time.
    pub(crate) copies: u32,
    /// How long messages take.
    pub(crate) delay: Duration,
    /// Uploads that fail from now on.
    pub(crate) uploads_fail: u32,
}

/// One side's node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) world: Arc<World>,
    pub(crate) overlay: Overlay,
    pub(crate) faults: Arc<Mutex<NodeFaults>>,
}

impl Node {
    fn answers(&self) -> Result<(), SwarmError> {
        match lock(&self.faults).is_down {
            true => Err(SwarmError::Node { status: 503, message: "out of order".into() }),
            false => Ok(()),
        }
    }
}

fn count_down(left: &mut u32) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

#[async_trait]
impl Carrier for Node {
    async fn storage_radius(&self) -> Option<u8> {
        Some(8)
    }

    async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.answers().map(|()| self.overlay)
    }

    fn has_stamp(&self) -> bool {
        !lock(&self.faults).has_no_stamp
    }

    async fn trouble(&self) -> Option<SwarmTrouble> {
        let faults = lock(&self.faults).clone();
        if faults.is_down {
            return Some(SwarmTrouble::new("the Bee node does not answer", "start it"));
        }
        faults.has_no_stamp.then(|| SwarmTrouble::new("there is no usable postage batch", "buy one"))
    }

    fn stuck(&self) -> Option<SwarmTrouble> {
        let is_stuck = lock(&self.faults).is_stuck;
        is_stuck.then(|| SwarmTrouble::new("the node passes nothing on", "look at its peers"))
    }

    async fn send_message(&self, message: &Message) -> Result<(), SwarmError> {
        self.answers()?;
        let (is_lost, copies, delay) = {
            let mut faults = lock(&self.faults);
            (count_down(&mut faults.messages_lost), faults.copies, faults.delay)
        };
        if is_lost {
            return Ok(());
        }
        for _ in 0..=copies {
            let (world, topic) = (Arc::clone(&self.world), message.path_topic.clone());
            let payload = message.payload.clone();
            self.world.later(delay, move || world.swarm.deliver(&topic, &payload));
        }
        Ok(())
    }

    async fn upload(&self, content: Bytes, _: Upload) -> Result<SwarmRef, SwarmError> {
        self.answers()?;
        if count_down(&mut lock(&self.faults).uploads_fail) {
            return Err(SwarmError::Node { status: 500, message: "not stored".into() });
        }
        let reference = self.world.swarm.put(content);
        let awaited = lock(&self.world.swarm.awaited).remove(&reference);
        awaited.into_iter().flatten().for_each(|work| self.world.later(Duration::ZERO, work));
        Ok(reference)
    }

    async fn download(
        &self,
        reference: &SwarmRef,
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError> {
        let patience_ms = u64::try_from(patience.total.as_millis()).unwrap_or(u64::MAX);
        let ends_ms = self.world.clock.unix_millis().saturating_add(patience_ms);
        loop {
            self.answers()?;
            match self.world.swarm.get(reference) {
                Some(content) if content.len() <= limit => return Ok(content),
                Some(_) => return Err(SwarmError::TooLarge { what: "the content", limit }),
                None if self.world.clock.unix_millis() >= ends_ms => {
                    return Err(SwarmError::NotFound(reference.to_string()));
                }
                None => self.world.clock.sleep(LOOK_AGAIN).await,
            }
        }
    }

    fn subscribe(&self, path_topic: &str) -> Subscription {
        let (sender, messages) = mpsc::channel(BUFFER);
        let (up, state) = watch::channel(LinkState::Up);
        lock(&self.world.swarm.listeners).push(Listener { topic: path_topic.to_owned(), sender, _up: up });
        Subscription::of(messages, state, Arc::clone(&self.world.clock))
    }
}
