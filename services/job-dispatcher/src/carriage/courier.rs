//! What buying and selling ask of whatever carries their messages and payloads.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use t4t_api::settlement::SettlementError;
use t4t_protocol::{MAX_PSS_BYTES, MessageKind};
use t4t_store::Store;
use t4t_swarm::{SwarmError, SwarmTrouble};
use t4t_types::{Address, Overlay, SwarmRef};

use super::budget::BudgetShare;
use super::inbox::Inbox;

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
    /// The body has no JSON form.
    #[error("the message has no JSON form")]
    Body(#[source] serde_json::Error),
}

/// A sealed payload, and its share of the memory for downloads.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes.
    pub sealed: Bytes,
    /// To be kept while the bytes, or what was made of them, wait for something.
    pub share: BudgetShare,
}

/// Carries messages and payloads for one wallet.
#[async_trait]
pub trait Courier: fmt::Debug + Send + Sync {
    /// This node's address in Swarm.
    ///
    /// # Errors
    /// The node can't be asked.
    async fn overlay(&self) -> Result<Overlay, SwarmError>;

    /// Why nothing can be sent or stored now, and what to do about it; `None` if all is well. The trouble is this side's
    /// own: its node, its postage.
    async fn own_trouble(&self) -> Option<SwarmTrouble>;

    /// Why what is stored by this side's node reaches nobody, as far as known; `None` if all is well.
    fn stuck(&self) -> Option<SwarmTrouble>;

    /// Signs a message whose body is JSON already; `sign` takes a body of any type.
    ///
    /// # Errors
    /// Settlement can't be asked, or the message is too long to be carried.
    async fn sign_json(&self, kind: MessageKind, to: Address, body: Value) -> Result<Bytes, CourierError>;

    /// Sends a signed message to whoever listens on `topic` in the recipient's neighbourhood.
    ///
    /// # Errors
    /// The node refused it. Success is no proof of delivery.
    async fn send(&self, topic: &str, target: Overlay, payload: Bytes) -> Result<(), CourierError>;

    /// Stores a sealed request; its reader can read it when this returns.
    ///
    /// # Errors
    /// The node refused it, or does not pass it on.
    async fn upload_request(&self, sealed: Bytes) -> Result<SwarmRef, CourierError>;

    /// Stores a sealed answer; its reader can read it when this returns. The reference is the node's to say: content with
    /// parity chunks has another one.
    ///
    /// # Errors
    /// The node refused it, or does not pass it on.
    async fn upload_answer(&self, sealed: Bytes) -> Result<SwarmRef, CourierError>;

    /// Whether a request's reference is known before it is stored.
    fn knows_reference(&self, sealed: &[u8]) -> bool;

    /// Whether a request takes so long to store that its reader should not be told of it before.
    fn takes_long(&self, sealed: &[u8]) -> bool;

    /// Fetches a sealed payload that may not be there yet, once the memory budget has a share for it. It is over after
    /// `limit` at the latest: a hostile reference can make a single download take minutes.
    ///
    /// # Errors
    /// It was not there in time, or is larger than a payload may be; the error says how much of it came.
    async fn download_within(&self, reference: SwarmRef, limit: Duration) -> Result<Fetched, CourierError>;

    /// Listens on a topic for messages to `wallet`: signed, fresh and not taken before. Must be called inside a Tokio
    /// runtime.
    fn listen(&self, topic: &str, wallet: Address, store: Store) -> Inbox;
}

impl dyn Courier {
    /// Signs a message with the wallet.
    ///
    /// # Errors
    /// Settlement can't be asked, or the message is too long to be carried.
    pub async fn sign<B: Serialize>(
        &self,
        kind: MessageKind,
        to: Address,
        body: &B,
    ) -> Result<Bytes, CourierError> {
        let body = serde_json::to_value(body).map_err(CourierError::Body)?;
        self.sign_json(kind, to, body).await
    }
}
