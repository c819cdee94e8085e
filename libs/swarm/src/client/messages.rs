//! Sending messages: wrapped and mined here, because a node takes seconds for what takes milliseconds here.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use t4t_types::{BatchId, Overlay, SwarmRef};
use tracing::debug;

use super::Bee;
use super::retry::was_busy;
use crate::SwarmError;
use crate::trojan::{self, MESSAGE_BYTES, Mined, PssPublicKey, Target, Topic};

/// A message to whoever listens on a topic in a neighbourhood.
#[derive(Clone, Debug)]
pub struct Message {
    /// The topic as it stands in the API's path; the node hashes this very string.
    pub path_topic: String,
    /// The recipient's node.
    pub target: Overlay,
    /// Leading bits of the target that the chunk's address shall share: 8 to 16. Each further bit doubles the
    /// mining (12 bits 13 ms, 16 bits 0.2 s).
    pub target_bits: u8,
    /// The recipient node's key; without one, everyone who knows the topic can read it. Version 1 sends none.
    pub recipient: Option<PssPublicKey>,
    /// At most 4000 bytes.
    pub payload: Bytes,
}

/// How a message left. It says nothing about delivery: that is the recipient's to confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As a chunk mined here.
    Chunk {
        /// The chunk's address.
        address: SwarmRef,
        /// How many nonces it took.
        tries: u64,
    },
    /// Through the node's own `/pss/send`, because it takes no chunks.
    ByNode,
}

#[derive(Deserialize)]
struct Created {}

impl Bee {
    /// Wraps, mines and sends a message; falls back to the node's own mining if the node takes no chunks.
    ///
    /// Mining runs on blocking threads, one a core at a time. The answer is no proof of delivery, and a
    /// [`SwarmError::TimedOut`] none of loss: messages need an id of their own, by which repetitions are dropped.
    pub async fn send_message(&self, message: &Message, batch: &BatchId) -> Result<Sent, SwarmError> {
        if message.payload.len() > MESSAGE_BYTES {
            return Err(SwarmError::TooLarge { what: "the message", limit: MESSAGE_BYTES });
        }
        let mined = self.mine(message).await?;
        let (address, tries) = (mined.address, mined.tries);
        match self.post_chunk(batch, mined.data).await {
            Ok(_) => Ok(Sent::Chunk { address, tries }),
            // The node knows no such route, or only for uploads of another kind.
            Err(SwarmError::Node { status: 400 | 404 | 405 | 501, message: refusal }) => {
                debug!(%refusal, "the node takes no chunks, it shall mine itself");
                self.send_by_node(message, batch).await
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a message through the node's `/pss/send`, which mines in the node: up to seconds for 16 bits.
    ///
    /// Targets there are whole bytes: one for up to 8 bits, else two.
    pub async fn send_by_node(&self, message: &Message, batch: &BatchId) -> Result<Sent, SwarmError> {
        let bytes = if message.target_bits <= 8 { 1 } else { 2 };
        let target = hex::encode(&message.target.as_bytes()[..bytes]);
        let mut call = self
            .call("message", Method::POST, &["pss", "send", &message.path_topic, &target])
            .stamped(batch)
            .header("content-type", "application/octet-stream")
            .limit(self.shared.config.message_timeout)
            .body(message.payload.clone());
        if let Some(recipient) = &message.recipient {
            call = call.query("recipient", &recipient.to_string());
        }
        // A repetition would be another chunk: only what was refused at once is repeated.
        self.retrying(was_busy, || self.json::<Created>(&call)).await?;
        Ok(Sent::ByNode)
    }

    async fn mine(&self, message: &Message) -> Result<Mined, SwarmError> {
        let target = Target::of(&message.target, message.target_bits)?;
        let topic = Topic::of_path(&message.path_topic);
        let (recipient, payload) = (message.recipient, message.payload.clone());
        let permit =
            Arc::clone(&self.shared.miners).acquire_owned().await.expect("the semaphore is never closed");
        let mining = tokio::task::spawn_blocking(move || {
            let mined = trojan::wrap(&topic, recipient.as_ref(), &payload)?.mine(&[target])?;
            drop(permit);
            Ok(mined)
        });
        mining.await.map_err(|error| SwarmError::Setup(format!("mining stopped: {error}")))?
    }
}
