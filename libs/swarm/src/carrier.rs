//! What carries messages and payloads, as the market needs it.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use t4t_types::{Overlay, SwarmRef};

use crate::{Message, Patience, StampKeeper, Subscription, SwarmError, Upload};

/// A node with postage, or a simulated network.
#[async_trait]
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Leading bits that the node's neighbourhood shares, if it tells.
    async fn storage_radius(&self) -> Option<u8>;

    /// The node's address.
    ///
    /// # Errors
    /// It can't be asked.
    async fn overlay(&self) -> Result<Overlay, SwarmError>;

    /// Whether a batch is there to pay with.
    fn has_stamp(&self) -> bool;

    /// Why nothing can be paid for now; `None` if all is well. Asks the node only where something is amiss.
    async fn postage_trouble(&self) -> Option<String> {
        (!self.has_stamp()).then(|| "there is no usable postage batch".to_owned())
    }

    /// Sends a message; success is no proof of delivery.
    ///
    /// # Errors
    /// The node refused it.
    async fn send_message(&self, message: &Message) -> Result<(), SwarmError>;

    /// Stores content and returns where.
    ///
    /// # Errors
    /// The node refused it.
    async fn upload(&self, content: Bytes, way: Upload) -> Result<SwarmRef, SwarmError>;

    /// Reads at most `limit` bytes of content that may not be there yet.
    ///
    /// # Errors
    /// It was not found with that patience, or is longer.
    async fn download(
        &self,
        reference: &SwarmRef,
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError>;

    /// Listens on a topic, named as in the API's path. Must be called inside a Tokio runtime.
    fn subscribe(&self, path_topic: &str) -> Subscription;
}

#[async_trait]
impl Carrier for StampKeeper {
    async fn storage_radius(&self) -> Option<u8> {
        self.bee().status().await.ok().and_then(|status| status.storage_radius)
    }

    async fn overlay(&self) -> Result<Overlay, SwarmError> {
        self.bee().addresses().await.map(|addresses| addresses.overlay)
    }

    fn has_stamp(&self) -> bool {
        self.batch().is_some()
    }

    async fn postage_trouble(&self) -> Option<String> {
        self.check().await
    }

    async fn send_message(&self, message: &Message) -> Result<(), SwarmError> {
        Self::send_message(self, message).await.map(|_| ())
    }

    async fn upload(&self, content: Bytes, way: Upload) -> Result<SwarmRef, SwarmError> {
        Self::upload(self, content, way).await
    }

    async fn download(
        &self,
        reference: &SwarmRef,
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError> {
        self.bee().download(reference, limit, patience).await
    }

    fn subscribe(&self, path_topic: &str) -> Subscription {
        self.bee().subscribe(path_topic)
    }
}
