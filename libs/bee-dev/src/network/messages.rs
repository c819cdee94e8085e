//! Subscriptions, and how messages find them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use t4t_swarm::chunk::Chunk;
use t4t_swarm::soc::Soc;
use t4t_swarm::{Topic, trojan};
use t4t_types::SwarmRef;
use tokio::sync::{Semaphore, mpsc};
use tracing::debug;

use super::{Network, Node, lock};

/// Frames that wait for a slow subscriber; further ones are lost.
const WAITING_FRAMES: usize = 1024;
/// Messages that travel at the same time; further ones are lost.
const TRAVELLING: usize = 4096;
/// How long an overtaken message is held back.
const HELD_BACK: Duration = Duration::from_millis(60);

static TRAVEL: Semaphore = Semaphore::const_new(TRAVELLING);

/// What a subscription listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Messages on a topic, as it stands in the path.
    Topic(String),
    /// Updates of a single-owner chunk.
    Chunk(SwarmRef),
}

#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    all: Mutex<Vec<Subscriber>>,
}

#[derive(Clone, Debug)]
struct Subscriber {
    interest: Interest,
    frames: mpsc::Sender<Bytes>,
}

impl Subscribers {
    /// Frames for a new subscription; it ends when the receiver is dropped.
    pub(crate) fn add(&self, interest: Interest) -> mpsc::Receiver<Bytes> {
        let (frames, receiver) = mpsc::channel(WAITING_FRAMES);
        let mut all = lock(&self.all);
        all.retain(|subscriber| !subscriber.frames.is_closed());
        all.push(Subscriber { interest, frames });
        receiver
    }

    fn topics(&self) -> BTreeSet<String> {
        let all = lock(&self.all);
        let topic = |subscriber: &Subscriber| match &subscriber.interest {
            Interest::Topic(topic) if !subscriber.frames.is_closed() => Some(topic.clone()),
            _ => None,
        };
        all.iter().filter_map(topic).collect()
    }

    fn listening(&self, interest: &Interest) -> Vec<mpsc::Sender<Bytes>> {
        let all = lock(&self.all);
        let listening = all.iter().filter(|subscriber| subscriber.interest == *interest);
        listening.map(|subscriber| subscriber.frames.clone()).collect()
    }
}

impl Network {
    /// Lets every node in the chunk's neighbourhood that it gets to from `origin` try to open it as a message.
    pub(crate) fn deliver(self: &Arc<Self>, chunk: &Chunk, origin: usize) {
        if chunk.data().len() != trojan::TROJAN_BYTES {
            return;
        }
        let arrives =
            |node: &&Node| self.gets_from(origin, node.index) && self.reaches(node, &chunk.address());
        for node in self.nodes.iter().filter(arrives) {
            for topic in node.subscribers.topics() {
                let key = &node.identity.pss_key;
                let Some(message) = trojan::unwrap(chunk.data(), Some(key), &Topic::of_path(&topic)) else {
                    continue;
                };
                debug!(node = node.index, bytes = message.len(), "a message arrives");
                let frame = Bytes::from(message);
                for frames in node.subscribers.listening(&Interest::Topic(topic)) {
                    self.travel(&frames, &frame);
                }
            }
        }
    }

    /// Tells everyone who listens to a single-owner chunk what it holds now.
    pub(crate) fn announce(self: &Arc<Self>, soc: &Soc, origin: usize) {
        let payload = soc.wrapped().payload();
        for node in self.nodes.iter().filter(|node| self.gets_from(origin, node.index)) {
            for frames in node.subscribers.listening(&Interest::Chunk(soc.address())) {
                self.travel(&frames, &payload);
            }
        }
    }

    /// Whether what one node sends gets to another.
    fn gets_from(&self, origin: usize, node: usize) -> bool {
        let leaves = origin == node || !self.faults.is_cut_off(origin);
        leaves && !self.faults.is_deaf(node)
    }

    fn reaches(&self, node: &Node, address: &SwarmRef) -> bool {
        let pairs = node.identity.overlay.as_bytes().iter().zip(address.as_bytes());
        let mut shared = 0;
        for (ours, theirs) in pairs {
            let zeros = (ours ^ theirs).leading_zeros();
            shared += zeros;
            if zeros < 8 {
                break;
            }
        }
        shared >= self.config.storage_radius.into()
    }

    /// One message to one subscriber, with everything that may happen on the way.
    fn travel(self: &Arc<Self>, frames: &mpsc::Sender<Bytes>, message: &Bytes) {
        let faults = self.faults.get();
        if self.faults.happens("message lost", faults.drop_messages) {
            return;
        }
        let copies = 1 + usize::from(self.faults.happens("message doubled", faults.duplicate_messages));
        let is_overtaken = self.faults.happens("message overtaken", faults.reorder_messages);
        let held_back = if is_overtaken { HELD_BACK } else { Duration::ZERO };
        let delay = Duration::from_millis(faults.message_delay_ms) + held_back;
        let empty = std::iter::repeat_n(Bytes::new(), faults.empty_frames as usize);
        let arrivals: Vec<Bytes> = std::iter::repeat_n(message.clone(), copies).chain(empty).collect();
        if delay.is_zero() {
            return arrive(frames, arrivals);
        }
        let Ok(permit) = TRAVEL.try_acquire() else { return debug!("too many messages travel, one is lost") };
        let (frames, clock) = (frames.clone(), self.config.clock.clone());
        tokio::spawn(async move {
            clock.sleep(delay).await;
            arrive(&frames, arrivals);
            drop(permit);
        });
    }
}

fn arrive(frames: &mpsc::Sender<Bytes>, arrivals: Vec<Bytes>) {
    for frame in arrivals {
        if frames.try_send(frame).is_err() {
            debug!("a subscriber takes no more frames");
        }
    }
}
