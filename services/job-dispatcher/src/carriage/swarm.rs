//! The courier over a Swarm node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use t4t_api::Settlement;
use t4t_api::settlement::SignEnvelope;
use t4t_clock::SharedClock;
use t4t_protocol::{MAX_PAYLOAD_BYTES, MAX_PSS_BYTES, MessageKind, path_topic};
use t4t_runtime::config::SwarmSettings;
use t4t_store::Store;
use t4t_swarm::chunk::{PAYLOAD_BYTES, Redundancy};
use t4t_swarm::{Carrier, Message, SwarmError, SwarmTrouble, Upload};
use t4t_types::{Address, Overlay, SwarmRef};

use super::budget::DownloadBudget;
use super::courier::{Courier, CourierError, Fetched};
use super::fetching;
use super::inbox::Inbox;

/// Up to here an upload goes straight to the network, so that a reader who looks once finds it: 3 s at the 90 kB a second
/// that a loaded node was measured at. What is longer the node takes and pushes on, at twice the rate, and says how far it
/// has come, so that one that passes nothing on is told from one that is slow.
const DIRECT_UPLOAD_BYTES: usize = 256 << 10;

/// Bits beyond the storage radius, so that the chunk lands well inside the recipient's neighbourhood.
const RADIUS_MARGIN: u8 = 2;

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

/// Sends and fetches over a Swarm node; messages are signed by settlement.
#[derive(Clone)]
pub struct SwarmCourier {
    carrier: Arc<dyn Carrier>,
    settlement: Arc<dyn Settlement>,
    clock: SharedClock,
    budget: DownloadBudget,
    target_bits: u8,
    config: CourierConfig,
}

impl std::fmt::Debug for SwarmCourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwarmCourier").field("target_bits", &self.target_bits).finish_non_exhaustive()
    }
}

impl SwarmCourier {
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
        let budget = DownloadBudget::new(MAX_PAYLOAD_BYTES + t4t_crypto::SEALING_OVERHEAD);
        Self { carrier, settlement, clock, budget, target_bits, config }
    }

    async fn store(&self, sealed: Bytes, redundancy: Redundancy) -> Result<SwarmRef, CourierError> {
        let way = if self.takes_long(&sealed) { Upload::Pushed } else { Upload::Direct };
        // One chunk has no parity chunks, only copies.
        let redundancy = if sealed.len() <= PAYLOAD_BYTES { Redundancy::None } else { redundancy };
        Ok(self.carrier.upload_at(sealed, way, redundancy).await?)
    }
}

#[async_trait]
impl Courier for SwarmCourier {
    async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.carrier.overlay().await
    }

    async fn own_trouble(&self) -> Option<SwarmTrouble> {
        self.carrier.trouble().await
    }

    fn stuck(&self) -> Option<SwarmTrouble> {
        self.carrier.stuck()
    }

    async fn sign_json(&self, kind: MessageKind, to: Address, body: Value) -> Result<Bytes, CourierError> {
        let signed = self.settlement.ask(SignEnvelope { kind: kind.as_str().to_owned(), to, body }).await?;
        if signed.len() > MAX_PSS_BYTES {
            return Err(CourierError::TooLong { bytes: signed.len() });
        }
        Ok(signed.into())
    }

    async fn send(&self, topic: &str, target: Overlay, payload: Bytes) -> Result<(), CourierError> {
        let path_topic = path_topic(topic);
        let target_bits = self.target_bits;
        // Version 1 names no recipient key: a node opens only what is sealed to its own key or the topic's.
        let message = Message { path_topic, target, target_bits, recipient: None, payload };
        self.carrier.send_message(&message).await?;
        Ok(())
    }

    async fn upload_request(&self, sealed: Bytes) -> Result<SwarmRef, CourierError> {
        self.store(sealed, self.config.request_redundancy).await
    }

    async fn upload_answer(&self, sealed: Bytes) -> Result<SwarmRef, CourierError> {
        self.store(sealed, self.config.answer_redundancy).await
    }

    fn knows_reference(&self, sealed: &[u8]) -> bool {
        self.config.request_redundancy == Redundancy::None || sealed.len() <= PAYLOAD_BYTES
    }

    fn takes_long(&self, sealed: &[u8]) -> bool {
        sealed.len() > DIRECT_UPLOAD_BYTES
    }

    async fn download_within(&self, reference: SwarmRef, limit: Duration) -> Result<Fetched, CourierError> {
        fetching::fetch(&*self.carrier, &self.budget, &*self.clock, reference, limit).await
    }

    fn listen(&self, topic: &str, wallet: Address, store: Store) -> Inbox {
        let subscription = self.carrier.subscribe(&path_topic(topic));
        Inbox::of(subscription, wallet, store, Arc::clone(&self.clock))
    }
}
