//! The way messages and payloads travel: signed by settlement, carried by Swarm.
//!
//! Nothing here says that something arrived: that is the recipient's to confirm, or the chain's.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use t4t_api::Settlement;
use t4t_api::settlement::{SettlementError, SignEnvelope};
use t4t_clock::{SharedClock, timeout};
use t4t_protocol::{
    FRESHNESS_WINDOW_SECONDS, MAX_PAYLOAD_BYTES, MAX_PSS_BYTES, OutgoingMessage, VerifiedEnvelope,
    parse_and_verify, path_topic,
};
use t4t_runtime::config::SwarmSettings;
use t4t_store::Store;
use t4t_swarm::chunk::{PAYLOAD_BYTES, Redundancy};
use t4t_swarm::{Admission, Carrier, Message, Patience, Subscription, SwarmError, SwarmTrouble, Upload};
use t4t_types::{Address, Overlay, SwarmRef, keccak256};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::room::{Room, Rooms, SMALL_BYTES};

/// Up to here an upload goes straight to the network, so that a reader who looks once finds it: 3 s at the 90 kB a second
/// that a loaded node was measured at. What is longer the node takes and pushes on, at twice the rate, and says how far it
/// has come, so that one that passes nothing on is told from one that is slow.
pub(crate) const DIRECT_UPLOAD_BYTES: usize = 256 << 10;

/// Messages that were verified and wait to be handled. A burst beyond it waits in the subscription, which drops.
const INBOX_CAPACITY: usize = 256;

/// Raw messages remembered, so that the copies which come within a millisecond are dropped before their signature is
/// checked.
const RECENT_MESSAGES: usize = 4096;

/// How long one fetching may take the room that others wait for, with 1 s more for each 100 kB of its size.
const ROOM_LIMIT: Duration = Duration::from_secs(20);
const ROOM_BYTES_A_SECOND: usize = 100_000;

/// How messages are sent and payloads stored.
#[derive(Clone, Copy, Debug)]
pub struct CourierConfig {
    /// Leading bits of the recipient's overlay that a message's chunk shares (8 to 16): the network's storage radius
    /// and a margin. `None` asks the node.
    pub target_bits: Option<u8>,
    /// The redundancy level of requests longer than a chunk: they are read within seconds. Default none.
    pub request_redundancy: Redundancy,
    /// The redundancy level of answers longer than a chunk: they wait for their reader. Default medium, as the nodes have
    /// it.
    pub answer_redundancy: Redundancy,
}

impl Default for CourierConfig {
    fn default() -> Self {
        let (request_redundancy, answer_redundancy) = (Redundancy::None, Redundancy::Medium);
        Self { target_bits: None, request_redundancy, answer_redundancy }
    }
}

impl From<&SwarmSettings> for CourierConfig {
    fn from(settings: &SwarmSettings) -> Self {
        let level = |level| Redundancy::of_level(level).unwrap_or_default();
        Self {
            target_bits: None,
            request_redundancy: level(settings.request_redundancy),
            answer_redundancy: level(settings.answer_redundancy),
        }
    }
}

/// Why something could not be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The node refused or failed.
    #[error("swarm: {0}")]
    Swarm(#[from] SwarmError),
    /// The message could not be signed.
    #[error("signing: {0}")]
    Signing(#[from] SettlementError),
    /// The message does not fit.
    #[error("the message has {bytes} bytes and may have {MAX_PSS_BYTES}")]
    TooLong {
        /// Its size.
        bytes: usize,
    },
    /// It lies there, and did not come in time: its size is the reason, or the node that has it.
    #[error("{came} of its {bytes} bytes came within {} s: the content is too large for the way it takes, or its node passes it on too slowly", within.as_secs())]
    Slow {
        /// Its size.
        bytes: usize,
        /// What came of it.
        came: usize,
        /// How long it was waited for.
        within: Duration,
    },
    /// Nothing was there in time: whoever stored it has a node that does not pass it on, or stored nothing.
    #[error("nothing was found there within {} s: the node it was uploaded to has not passed it on", within.as_secs())]
    NotThere {
        /// How long it was waited for.
        within: Duration,
    },
}

/// Sends and fetches for one wallet.
#[derive(Clone)]
pub struct Courier {
    carrier: Arc<dyn Carrier>,
    settlement: Arc<dyn Settlement>,
    clock: SharedClock,
    target_bits: u8,
    request_redundancy: Redundancy,
    answer_redundancy: Redundancy,
    rooms: Rooms,
}

/// A sealed payload, and the room that it takes.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub sealed: Bytes,
    /// To be kept while the bytes, or what was made of them, wait for something.
    pub(crate) room: Room,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("target_bits", &self.target_bits).finish_non_exhaustive()
    }
}

/// Bits beyond the storage radius, so that the chunk lands well inside the recipient's neighbourhood.
const RADIUS_MARGIN: u8 = 2;

impl Courier {
    /// A courier that sends and fetches over `carrier`.
    pub async fn new(
        carrier: Arc<dyn Carrier>,
        settlement: Arc<dyn Settlement>,
        clock: SharedClock,
        config: CourierConfig,
    ) -> Self {
        let radius = match config.target_bits {
            Some(bits) => Some(bits),
            None => carrier.storage_radius().await.map(|radius| radius.saturating_add(RADIUS_MARGIN)),
        };
        let target_bits = radius.unwrap_or(16).clamp(8, 16);
        let rooms = Rooms::new(MAX_PAYLOAD_BYTES + t4t_crypto::SEALING_OVERHEAD);
        let CourierConfig { request_redundancy, answer_redundancy, .. } = config;
        Self { carrier, settlement, clock, target_bits, request_redundancy, answer_redundancy, rooms }
    }

    /// This node's address in Swarm.
    ///
    /// # Errors
    /// The node can't be asked.
    pub async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.carrier.overlay().await
    }

    /// Why nothing can be sent or stored in Swarm now, and what to do about it; `None` if all is well. The trouble is
    /// this side's own: its node, its postage.
    pub async fn own_trouble(&self) -> Option<SwarmTrouble> {
        self.carrier.trouble().await
    }

    /// Why what is stored by this side's node reaches nobody, as far as known; `None` if all is well.
    pub fn stuck(&self) -> Option<SwarmTrouble> {
        self.carrier.stuck()
    }

    /// Signs a message with the wallet.
    ///
    /// # Errors
    /// Settlement can't be asked, or the message is too long for Swarm.
    pub async fn sign(&self, to: Address, message: OutgoingMessage) -> Result<Bytes, CourierError> {
        let signed = self.settlement.ask(SignEnvelope { to, message }).await?;
        if signed.len() > MAX_PSS_BYTES {
            return Err(CourierError::TooLong { bytes: signed.len() });
        }
        Ok(signed.into())
    }

    /// Sends a signed message to whoever listens on `topic` in the recipient's neighbourhood.
    ///
    /// # Errors
    /// The node refused it. Success is no proof of delivery.
    pub async fn send(&self, topic: &str, target: Overlay, payload: Bytes) -> Result<(), CourierError> {
        let path_topic = path_topic(topic);
        let target_bits = self.target_bits;
        // Version 1 names no recipient key: a node opens only what is sealed to its own key or the topic's.
        let message = Message { path_topic, target, target_bits, recipient: None, payload };
        self.carrier.send_message(&message).await?;
        Ok(())
    }

    /// Stores a sealed request; its reader can read it when this returns.
    ///
    /// # Errors
    /// The node refused it, or does not pass it on.
    pub async fn upload_request(&self, sealed: impl Into<Bytes>) -> Result<SwarmRef, CourierError> {
        self.store(sealed.into(), self.request_redundancy).await
    }

    /// Stores a sealed answer; its reader can read it when this returns. The reference is the node's to say: content
    /// with parity chunks has another one.
    ///
    /// # Errors
    /// The node refused it, or does not pass it on.
    pub async fn upload_answer(&self, sealed: impl Into<Bytes>) -> Result<SwarmRef, CourierError> {
        self.store(sealed.into(), self.answer_redundancy).await
    }

    /// Whether where a request lies is known before it is stored.
    pub(crate) fn knows_reference(&self, sealed: &[u8]) -> bool {
        self.request_redundancy == Redundancy::None || sealed.len() <= PAYLOAD_BYTES
    }

    async fn store(&self, sealed: Bytes, redundancy: Redundancy) -> Result<SwarmRef, CourierError> {
        let way = if sealed.len() <= DIRECT_UPLOAD_BYTES { Upload::Direct } else { Upload::Pushed };
        // One chunk has no parity chunks, only copies.
        let redundancy = if sealed.len() <= PAYLOAD_BYTES { Redundancy::None } else { redundancy };
        Ok(self.carrier.upload_at(sealed, way, redundancy).await?)
    }

    /// Fetches a sealed payload that may not be there yet, once there is room for one of its size: a node says how long
    /// something is before it sends it. It is asked once and its answer waits for the room: a download that is broken off
    /// begins from nothing.
    ///
    /// # Errors
    /// It was not found in `patience`, or is larger than a payload may be.
    pub async fn download(&self, reference: SwarmRef, patience: Duration) -> Result<Fetched, CourierError> {
        let entry = Entry::new(&self.rooms);
        self.fetch(reference, patience, &entry).await
    }

    async fn fetch(
        &self,
        reference: SwarmRef,
        patience: Duration,
        entry: &Entry<'_>,
    ) -> Result<Fetched, CourierError> {
        let patience = Patience::up_to(patience);
        let fetching = self.carrier.download_admitted(&reference, patience, entry);
        // It is there, or at least its beginning is: nobody has to wait long for the rest of it.
        let holding = async {
            let bytes = entry.entered().await;
            let limit = ROOM_LIMIT + Duration::from_secs((bytes / ROOM_BYTES_A_SECOND) as u64);
            self.clock.sleep(limit).await;
            limit
        };
        tokio::select! {
            fetched = fetching => Ok(Fetched { sealed: fetched?, room: entry.take() }),
            limit = holding => Err(entry.too_slow(limit)),
        }
    }

    /// The same, but over after `limit` at the latest: a hostile reference can make a single download take minutes.
    ///
    /// # Errors
    /// It was not there in time, or is larger than a payload may be; the error says how much of it came.
    pub async fn download_within(
        &self,
        reference: SwarmRef,
        limit: Duration,
    ) -> Result<Fetched, CourierError> {
        let entry = Entry::new(&self.rooms);
        let fetching = Box::pin(self.fetch(reference, limit, &entry));
        match timeout(&*self.clock, limit, fetching).await {
            Err(t4t_clock::Elapsed) => Err(entry.too_slow(limit)),
            Ok(Err(CourierError::Swarm(SwarmError::NotFound(_)))) => {
                Err(CourierError::NotThere { within: limit })
            }
            Ok(fetched) => fetched,
        }
    }

    /// Listens on a topic for messages to `wallet`: signed, fresh and not taken before.
    pub fn listen(&self, topic: &str, wallet: Address, store: Store) -> Inbox {
        let subscription = self.carrier.subscribe(&path_topic(topic));
        let (sender, messages) = mpsc::channel(INBOX_CAPACITY);
        let state = subscription.state();
        let sorter = Sorter { wallet, store, clock: Arc::clone(&self.clock), sender, recent: Recent::new() };
        let task = tokio::spawn(sorter.run(subscription));
        Inbox { messages, state, task }
    }
}

/// The way into memory for one payload.
struct Entry<'a> {
    rooms: &'a Rooms,
    room: Mutex<Room>,
    /// How long the payload is, once that shows.
    bytes: AtomicUsize,
    came: AtomicUsize,
    /// Told when room that others may wait for was taken.
    entered: tokio::sync::Notify,
}

impl<'a> Entry<'a> {
    fn new(rooms: &'a Rooms) -> Self {
        let (bytes, came) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { rooms, room: Mutex::default(), bytes, came, entered: tokio::sync::Notify::new() }
    }

    fn take(&self) -> Room {
        std::mem::take(&mut *self.room.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns how long the payload is, once it has taken room that others may wait for.
    async fn entered(&self) -> usize {
        self.entered.notified().await;
        self.bytes.load(Ordering::Relaxed)
    }

    fn too_slow(&self, within: Duration) -> CourierError {
        let (bytes, came) = (self.bytes.load(Ordering::Relaxed), self.came.load(Ordering::Relaxed));
        if bytes == 0 {
            CourierError::NotThere { within }
        } else {
            CourierError::Slow { bytes, came, within }
        }
    }
}

#[async_trait]
impl Admission for Entry<'_> {
    async fn admit(&self, bytes: usize) -> Result<usize, SwarmError> {
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
        if bytes <= SMALL_BYTES {
            return Ok(SMALL_BYTES);
        }
        let Some(size) = self.rooms.sizes().find(|size| bytes <= size.bytes) else {
            let limit = self.rooms.sizes().map(|size| size.bytes).max().unwrap_or(SMALL_BYTES);
            return Err(SwarmError::TooLarge { what: "the content", limit });
        };
        // Never two at once: what was taken before is given back first.
        drop(self.take());
        let room = size.enter().await;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
        self.entered.notify_one();
        Ok(size.bytes)
    }

    fn came(&self, bytes: usize) {
        self.came.store(bytes, Ordering::Relaxed);
    }
}

/// Verified messages as they come.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<VerifiedEnvelope>,
    state: tokio::sync::watch::Receiver<t4t_swarm::LinkState>,
    task: tokio::task::JoinHandle<()>,
}

impl Inbox {
    /// The next message; waits as long as it takes. `None` when the sorter has stopped.
    pub async fn next(&mut self) -> Option<VerifiedEnvelope> {
        self.messages.recv().await
    }

    /// Follows whether messages can arrive.
    pub fn state(&self) -> tokio::sync::watch::Receiver<t4t_swarm::LinkState> {
        self.state.clone()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Recent {
    order: VecDeque<[u8; 32]>,
    known: HashSet<[u8; 32]>,
}

impl Recent {
    /// Takes its memory at once, so that a process which is watched for leaks does not seem to have one.
    fn new() -> Self {
        let order = VecDeque::with_capacity(RECENT_MESSAGES + 1);
        Self { order, known: HashSet::with_capacity(RECENT_MESSAGES + 1) }
    }

    /// `false` if the same bytes were here lately.
    fn insert(&mut self, message: &[u8]) -> bool {
        let hash = keccak256(message);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > RECENT_MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

struct Sorter {
    wallet: Address,
    store: Store,
    clock: SharedClock,
    sender: mpsc::Sender<VerifiedEnvelope>,
    recent: Recent,
}

impl Sorter {
    async fn run(mut self, mut subscription: Subscription) {
        while let Some(message) = subscription.next().await {
            if !self.recent.insert(&message) {
                continue;
            }
            let Some(envelope) = self.accept(&message).await else { continue };
            if self.sender.send(envelope).await.is_err() {
                return;
            }
        }
    }

    async fn accept(&self, message: &[u8]) -> Option<VerifiedEnvelope> {
        let envelope = match parse_and_verify(message) {
            Ok(envelope) => envelope,
            Err(error) => {
                debug!(%error, "a message was dropped");
                return None;
            }
        };
        let now = self.clock.now();
        if envelope.to != self.wallet || !envelope.is_fresh(now) {
            debug!(from = %envelope.from, to = %envelope.to, "a message for somebody else, or too old, was dropped");
            return None;
        }
        let expiry = envelope.ts.plus(2 * FRESHNESS_WINDOW_SECONDS);
        match self.store.envelope_insert(envelope.from, &envelope.nonce, expiry).await {
            Ok(true) => Some(envelope),
            Ok(false) => None,
            Err(error) => {
                // Without the row a replay could pass after a restart: safer to lose the message, which is resent.
                warn!(error = &error as &dyn std::error::Error, "a message was dropped");
                None
            }
        }
    }
}
