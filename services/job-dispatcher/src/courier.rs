//! The way messages and payloads travel: signed by settlement, carried by Swarm.
//!
//! Nothing here says that something arrived: that is the recipient's to confirm, or the chain's.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use t4t_api::Settlement;
use t4t_api::settlement::{SettlementError, SignEnvelope};
use t4t_clock::{SharedClock, timeout};
use t4t_protocol::{
    FRESHNESS_WINDOW_SECONDS, MAX_PAYLOAD_BYTES, MAX_PSS_BYTES, MessageKind, VerifiedEnvelope,
    parse_and_verify, path_topic,
};
use t4t_store::Store;
use t4t_swarm::{Carrier, Message, Patience, Subscription, SwarmError, Upload};
use t4t_types::{Address, Overlay, SwarmRef, keccak256};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::room::{Room, Rooms, SMALL_BYTES};

/// Up to here an upload goes straight to the network, so that a reader who looks once finds it; above it that would
/// take longer than an acknowledgement may: the node takes it and pushes it on, which readers wait for.
const DIRECT_UPLOAD_BYTES: usize = 1 << 20;

/// Messages that were verified and wait to be handled. A burst beyond it waits in the subscription, which drops.
const INBOX_CAPACITY: usize = 256;

/// Raw messages remembered, so that the copies which come within a millisecond are dropped before their signature is
/// checked.
const RECENT_MESSAGES: usize = 4096;

/// How long one fetching may take the room that others wait for.
const ROOM_LIMIT: Duration = Duration::from_secs(20);

/// How messages are sent.
#[derive(Clone, Copy, Debug)]
pub struct CourierConfig {
    /// Leading bits of the recipient's overlay that a message's chunk shares (8 to 16): the network's storage radius
    /// and a margin. `None` asks the node.
    pub target_bits: Option<u8>,
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
    /// The body has no JSON form.
    #[error("the message has no JSON form")]
    Body(#[source] serde_json::Error),
}

/// Sends and fetches for one wallet.
#[derive(Clone)]
pub struct Courier {
    carrier: Arc<dyn Carrier>,
    settlement: Arc<dyn Settlement>,
    clock: SharedClock,
    target_bits: u8,
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
        Self { carrier, settlement, clock, target_bits, rooms }
    }

    /// This node's address in Swarm.
    ///
    /// # Errors
    /// The node can't be asked.
    pub async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.carrier.overlay().await
    }

    /// Why nothing can be paid for in Swarm now; `None` if all is well.
    pub async fn postage_trouble(&self) -> Option<String> {
        self.carrier.postage_trouble().await
    }

    /// Signs a message with the wallet.
    ///
    /// # Errors
    /// Settlement can't be asked, or the message is too long for Swarm.
    pub async fn sign<B: Serialize>(
        &self,
        kind: MessageKind,
        to: Address,
        body: &B,
    ) -> Result<Bytes, CourierError> {
        let body = serde_json::to_value(body).map_err(CourierError::Body)?;
        let signed = self.settlement.ask(SignEnvelope { kind: kind.as_str().to_owned(), to, body }).await?;
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

    /// Stores a sealed payload.
    ///
    /// # Errors
    /// The node refused it.
    pub async fn upload(&self, sealed: impl Into<Bytes>) -> Result<SwarmRef, CourierError> {
        let sealed = sealed.into();
        let way = if sealed.len() <= DIRECT_UPLOAD_BYTES { Upload::Direct } else { Upload::Deferred };
        Ok(self.carrier.upload(sealed, way).await?)
    }

    /// Fetches a sealed payload that may not be there yet, once there is room for one of its size: a node says how long
    /// something is before it sends it.
    ///
    /// # Errors
    /// It was not found in `patience`, or is larger than a payload may be.
    pub async fn download(&self, reference: SwarmRef, patience: Duration) -> Result<Fetched, CourierError> {
        let mut fetched = self.carrier.download(&reference, SMALL_BYTES, Patience::up_to(patience)).await;
        let mut room = Room::default();
        for size in self.rooms.sizes() {
            if !matches!(fetched, Err(SwarmError::TooLarge { .. })) {
                break;
            }
            room = size.enter().await;
            // It is there, or at least its beginning is: nobody has to wait long for the rest of it.
            let limit = patience.min(ROOM_LIMIT);
            let fetching = self.carrier.download(&reference, size.bytes, Patience::up_to(limit));
            fetched =
                timeout(&*self.clock, limit, fetching).await.unwrap_or(Err(SwarmError::TimedOut(limit)));
        }
        Ok(Fetched { sealed: fetched?, room })
    }

    /// The same, but over after `limit` at the latest: a hostile reference can make a single download take minutes.
    ///
    /// # Errors
    /// It was not there in time, or is larger than a payload may be.
    pub async fn download_within(
        &self,
        reference: SwarmRef,
        limit: Duration,
    ) -> Result<Fetched, CourierError> {
        let downloading = Box::pin(self.download(reference, limit));
        timeout(&*self.clock, limit, downloading)
            .await
            .unwrap_or(Err(CourierError::Swarm(SwarmError::TimedOut(limit))))
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
