//! What carries messages and payloads, as the market needs it.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use t4t_types::{Overlay, SwarmRef};

use crate::chunk::Redundancy;
use crate::keeper::NO_BATCH;
use crate::{Admission, Message, Patience, StampKeeper, Subscription, SwarmError, SwarmTrouble, Upload};

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

    /// Why nothing can be sent or stored now, and what to do about it; `None` if all is well. Asks the node only where
    /// something is amiss.
    async fn trouble(&self) -> Option<SwarmTrouble> {
        let none = || SwarmTrouble::new("there is no usable postage batch", NO_BATCH);
        (!self.has_stamp()).then(none)
    }

    /// Why what is stored here reaches nobody, as far as known; `None` if all is well.
    fn stuck(&self) -> Option<SwarmTrouble> {
        None
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

    /// The same at a redundancy level: the reference may be another one. Who knows no levels stores as ever.
    ///
    /// # Errors
    /// The node refused it.
    async fn upload_at(
        &self,
        content: Bytes,
        way: Upload,
        _redundancy: Redundancy,
    ) -> Result<SwarmRef, SwarmError> {
        self.upload(content, way).await
    }

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

    /// Reads content of a size that is let in first.
    ///
    /// # Errors
    /// It was not found with that patience, or is not let in.
    async fn download_admitted(
        &self,
        reference: &SwarmRef,
        patience: Patience,
        admission: &dyn Admission,
    ) -> Result<Bytes, SwarmError> {
        // Who can't say how long it is is asked with ever more room.
        let mut limit = admission.admit(0).await?;
        loop {
            match self.download(reference, limit, patience).await {
                Err(SwarmError::TooLarge { .. }) => limit = admission.admit(limit.saturating_add(1)).await?,
                other => return other,
            }
        }
    }

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

    async fn trouble(&self) -> Option<SwarmTrouble> {
        self.check().await
    }

    fn stuck(&self) -> Option<SwarmTrouble> {
        self.stuck_trouble()
    }

    async fn send_message(&self, message: &Message) -> Result<(), SwarmError> {
        Self::send_message(self, message).await.map(|_| ())
    }

    async fn upload(&self, content: Bytes, way: Upload) -> Result<SwarmRef, SwarmError> {
        Self::upload(self, content, way).await
    }

    async fn upload_at(
        &self,
        content: Bytes,
        way: Upload,
        redundancy: Redundancy,
    ) -> Result<SwarmRef, SwarmError> {
        Self::upload_at(self, content, way, redundancy).await
    }

    async fn download_admitted(
        &self,
        reference: &SwarmRef,
        patience: Patience,
        admission: &dyn Admission,
    ) -> Result<Bytes, SwarmError> {
        self.bee().download_admitted(reference, patience, admission).await
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
