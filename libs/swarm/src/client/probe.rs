//! Whether messages reach a node: found out by one to itself, since what a node says of its mode proves nothing.

use std::time::Duration;

use bytes::Bytes;
use t4t_clock::timeout;
use t4t_types::BatchId;

use super::{Bee, Message};
use crate::SwarmError;

/// Bits beyond the storage radius, as for any message.
const RADIUS_MARGIN: u8 = 2;

/// How often the message is sent: messages get lost.
const TRIES: u32 = 2;

/// How long the subscription may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

impl Bee {
    /// Whether a message from the node to itself arrives within `limit`. Takes one stamp, or two where it does not. Must
    /// be called inside a Tokio runtime.
    ///
    /// # Errors
    /// The node can't be asked, or the message can't be paid for.
    pub async fn hears_itself(&self, batch: &BatchId, limit: Duration) -> Result<bool, SwarmError> {
        let random = |_| SwarmError::Setup("the system gave no randomness".to_owned());
        let (mut topic, mut payload) = ([0; 32], [0; 32]);
        getrandom::fill(&mut topic).map_err(random)?;
        getrandom::fill(&mut payload).map_err(random)?;
        let path_topic = hex::encode(topic);
        let mut inbox = self.subscribe(&path_topic);
        inbox.wait_connected(CONNECT_LIMIT).await?;
        let radius = self.status().await.ok().and_then(|status| status.storage_radius);
        let message = Message {
            path_topic,
            target: self.addresses().await?.overlay,
            target_bits: radius.map_or(16, |radius| radius.saturating_add(RADIUS_MARGIN)).clamp(8, 16),
            recipient: None,
            payload: Bytes::copy_from_slice(&payload),
        };
        for _ in 0..TRIES {
            let sending = self.send_message(&message, batch);
            let hearing = async { while inbox.next().await.is_some_and(|heard| heard != payload[..]) {} };
            tokio::pin!(sending, hearing);
            let mut sent = None;
            // It may arrive long before the sender is told that it was sent.
            let heard = timeout(&*self.shared.clock, limit / TRIES, async {
                loop {
                    tokio::select! {
                        () = &mut hearing => return true,
                        end = &mut sending, if sent.is_none() => match end {
                            Ok(_) => sent = Some(Ok(())),
                            Err(error) => { sent = Some(Err(error)); return false; }
                        },
                    }
                }
            });
            if heard.await.unwrap_or(false) {
                return Ok(true);
            }
            if let Some(Err(error)) = sent {
                return Err(error);
            }
        }
        Ok(false)
    }
}
