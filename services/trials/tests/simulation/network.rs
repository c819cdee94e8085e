//! The ways out of a machine: to the chain's node and to Swarm, each in the machine's own weather.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use t4t_chain::{EndpointFault, Reply, Transport};
use t4t_clock::SharedClock;
use t4t_swarm::{Carrier, LinkState, Message, Patience, Subscription, SwarmError, Upload, chunk};
use t4t_types::{Overlay, SwarmRef};
use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use super::chain::Chain;
use super::rpc::{self, View};
use super::timeline::Timeline;

/// Messages that a listener holds.
const BUFFER: usize = 1024;

/// A lock that a panic elsewhere does not close: the history fails by that panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes wrong around one machine. Rates are of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) rpc_trouble: u64,
    pub(crate) rpc_down_until_ms: u64,
    pub(crate) rpc_lag: u64,
    pub(crate) swarm_trouble: u64,
    pub(crate) swarm_down_until_ms: u64,
    pub(crate) messages_lost: u64,
    pub(crate) messages_doubled: u64,
    pub(crate) messages_late: u64,
    pub(crate) backend_trouble: u64,
    pub(crate) backend_down_until_ms: u64,
    /// The machine dies with so many-th effect from now; 0 is never.
    pub(crate) dies_at_effect: u64,
}

/// A machine's weather, its deaths, and what it did.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) timeline: Timeline,
    pub(crate) weather: Mutex<Weather>,
    /// Whether it is to die now.
    pub(crate) dies: Mutex<bool>,
    /// What it did, for the comparison of two runs of one seed.
    pub(crate) trace: Arc<Mutex<Trace>>,
    pub(crate) name: &'static str,
}

/// What happened, in short.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) hash: u64,
    /// What mattered, for a person.
    pub(crate) lines: Vec<String>,
}

impl Trace {
    pub(crate) fn note(&mut self, at_ms: u64, who: &str, what: &str) {
        let line = format!("{at_ms} {who} {what}");
        for byte in line.bytes() {
            // FNV-1a.
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Notes what a person wants to read about a history that failed.
    pub(crate) fn tell(&mut self, at_ms: u64, who: &str, what: &str) {
        self.note(at_ms, who, what);
        self.lines.push(format!("{:>8.3} s  {who}: {what}", at_ms as f64 / 1000.0 % 100_000.0));
    }
}

impl Surroundings {
    pub(crate) fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    pub(crate) fn note(&self, what: &str) {
        lock(&self.trace).note(self.timeline.now_ms(), self.name, what);
    }

    pub(crate) fn tell(&self, what: &str) {
        lock(&self.trace).tell(self.timeline.now_ms(), self.name, what);
    }

    /// Something that others see is being done: the moments that matter for a death.
    pub(crate) fn effect(&self, what: &str) {
        self.tell(what);
        let mut weather = lock(&self.weather);
        if weather.dies_at_effect > 0 {
            weather.dies_at_effect -= 1;
            if weather.dies_at_effect == 0 {
                *lock(&self.dies) = true;
            }
        }
    }

    fn latency(&self) -> Duration {
        Duration::from_millis(1 + self.timeline.throw(30))
    }
}

/// The way to the chain's node.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) around: Arc<Surroundings>,
    pub(crate) chain: Arc<Mutex<Chain>>,
}

/// What the network does to a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Lost,
    ReplyLost,
    RateLimited,
    Overloaded,
    Garbage,
    Silence,
}

impl Wire {
    fn trouble(&self) -> Trouble {
        let (weather, timeline) = (self.around.weather(), &self.around.timeline);
        if weather.rpc_down_until_ms > timeline.now_ms() {
            return Trouble::Lost;
        }
        if !timeline.permille(weather.rpc_trouble) {
            return Trouble::None;
        }
        match timeline.throw(6) {
            0 => Trouble::Lost,
            1 => Trouble::ReplyLost,
            2 => Trouble::RateLimited,
            3 => Trouble::Overloaded,
            4 => Trouble::Garbage,
            _ => Trouble::Silence,
        }
    }

    fn note(&self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        let methods: Vec<&str> =
            text.split("\"method\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let what = methods.join(",");
        if what.contains("eth_sendRawTransaction") {
            self.around.effect(&what);
        } else {
            self.around.note(&what);
        }
    }
}

#[async_trait]
impl Transport for Wire {
    fn random(&self) -> u32 {
        u32::try_from(self.around.timeline.throw(1 << 32)).unwrap_or(u32::MAX)
    }

    async fn post(&self, _: &Url, body: Vec<u8>, _: usize) -> Reply {
        let trouble = self.trouble();
        let (there, back) = (self.around.latency(), self.around.latency());
        self.note(&body);
        let broken = || Reply::Fault { fault: EndpointFault::Connection("reset".into()), retry_after: None };
        if trouble != Trouble::None && trouble != Trouble::ReplyLost {
            self.around.timeline.sleep(there).await;
        }
        match trouble {
            Trouble::Lost => return broken(),
            Trouble::RateLimited => {
                return Reply::Fault { fault: EndpointFault::RateLimited, retry_after: None };
            }
            Trouble::Overloaded => {
                return Reply::Fault { fault: EndpointFault::Status(503), retry_after: None };
            }
            Trouble::Garbage => {
                return Reply::Body { bytes: b"{\"jsonrpc\":\"2.0\",\"id\"".to_vec(), refused: None };
            }
            Trouble::Silence => std::future::pending::<()>().await,
            Trouble::None | Trouble::ReplyLost => {}
        }
        let (reply, replied) = oneshot::channel();
        let (chain, timeline) = (Arc::clone(&self.chain), self.around.timeline.clone());
        let view = View { lag: self.around.weather().rpc_lag };
        // Once it has left, it arrives, whether or not the machine lives that long.
        self.around.timeline.later(there, move || {
            let bytes = rpc::answer(&mut lock(&chain), view, &body);
            timeline.later(back, move || drop(reply.send(bytes)));
        });
        match replied.await {
            Ok(bytes) if trouble == Trouble::None => Reply::Body { bytes, refused: None },
            _ => broken(),
        }
    }
}

/// The way to the chain's node without any way: for looking at the books.
#[derive(Debug)]
pub(crate) struct Direct(pub(crate) Arc<Mutex<Chain>>);

#[async_trait]
impl Transport for Direct {
    async fn post(&self, _: &Url, body: Vec<u8>, _: usize) -> Reply {
        Reply::Body { bytes: rpc::answer(&mut lock(&self.0), View::default(), &body), refused: None }
    }
}

struct Listener {
    topic: String,
    sender: mpsc::Sender<Bytes>,
    _up: watch::Sender<LinkState>,
}

/// The network of all Swarm nodes.
#[derive(Default)]
pub(crate) struct Swarm {
    content: Mutex<HashMap<SwarmRef, (Bytes, u64)>>,
    listeners: Mutex<Vec<Listener>>,
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Swarm")
    }
}

impl Swarm {
    fn deliver(&self, topic: &str, payload: &Bytes) {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|listener| !listener.sender.is_closed());
        for listener in listeners.iter().filter(|listener| listener.topic == topic) {
            // A full buffer drops, as a node does.
            drop(listener.sender.try_send(payload.clone()));
        }
    }
}

/// A machine's Swarm node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) around: Arc<Surroundings>,
    pub(crate) swarm: Arc<Swarm>,
    pub(crate) overlay: Overlay,
    pub(crate) clock: SharedClock,
}

impl Node {
    /// Waits as long as a call takes, and says whether it fails.
    async fn call(&self) -> Result<(), SwarmError> {
        self.around.timeline.sleep(self.around.latency()).await;
        let (weather, timeline) = (self.around.weather(), &self.around.timeline);
        let is_down = weather.swarm_down_until_ms > timeline.now_ms();
        if !is_down && !timeline.permille(weather.swarm_trouble) {
            return Ok(());
        }
        let status = if timeline.throw(2) == 0 { 500 } else { 503 };
        Err(SwarmError::Node { status, message: "out of order".into() })
    }
}

#[async_trait]
impl Carrier for Node {
    async fn storage_radius(&self) -> Option<u8> {
        Some(8)
    }

    async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.call().await.map(|()| self.overlay)
    }

    fn has_stamp(&self) -> bool {
        true
    }

    async fn send_message(&self, message: &Message) -> Result<(), SwarmError> {
        self.around.effect("message");
        self.call().await?;
        let (weather, timeline) = (self.around.weather(), &self.around.timeline);
        if timeline.permille(weather.messages_lost) {
            return Ok(());
        }
        let copies = if timeline.permille(weather.messages_doubled) { 3 } else { 1 };
        for _ in 0..copies {
            let late = if timeline.permille(weather.messages_late) { 60_000 } else { 400 };
            let wait = Duration::from_millis(20 + timeline.throw(late));
            let (swarm, topic) = (Arc::clone(&self.swarm), message.path_topic.clone());
            let payload = message.payload.clone();
            timeline.later(wait, move || swarm.deliver(&topic, &payload));
        }
        Ok(())
    }

    async fn upload(&self, content: Bytes, _: Upload) -> Result<SwarmRef, SwarmError> {
        self.around.effect("upload");
        let reference = chunk::root_reference(&content);
        let now_ms = self.around.timeline.now_ms();
        let end = self.call().await;
        // Also a call that failed may have stored it.
        if end.is_ok() || self.around.timeline.throw(2) == 0 {
            let there_at = now_ms + self.around.timeline.throw(3000);
            lock(&self.swarm.content).entry(reference).or_insert((content, there_at));
        }
        end.map(|()| reference)
    }

    async fn download(
        &self,
        reference: &SwarmRef,
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError> {
        let ends_ms =
            self.clock.unix_millis() + u64::try_from(patience.total.as_millis()).unwrap_or(u64::MAX);
        self.around.effect("download");
        loop {
            let end = self.call().await;
            let now_ms = self.around.timeline.now_ms();
            let found =
                lock(&self.swarm.content).get(reference).filter(|(_, there)| *there <= now_ms).cloned();
            match (end, found) {
                (Ok(()), Some((content, _))) if content.len() <= limit => return Ok(content),
                (Ok(()), Some(_)) => return Err(SwarmError::TooLarge { what: "the content", limit }),
                (end, _) if self.clock.unix_millis() >= ends_ms => {
                    return Err(end.err().unwrap_or_else(|| SwarmError::NotFound(reference.to_string())));
                }
                _ => self.around.timeline.sleep(Duration::from_millis(700)).await,
            }
        }
    }

    fn subscribe(&self, path_topic: &str) -> Subscription {
        let (sender, messages) = mpsc::channel(BUFFER);
        let (up, state) = watch::channel(LinkState::Up);
        lock(&self.swarm.listeners).push(Listener { topic: path_topic.to_owned(), sender, _up: up });
        Subscription::of(messages, state, Arc::clone(&self.clock))
    }
}
