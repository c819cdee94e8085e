//! Uploads and messages that make room when their batch turns out to be full.

use std::time::Duration;

use bytes::Bytes;
use t4t_types::{BatchId, SwarmRef};
use tracing::warn;

use super::{POLL, StampKeeper};
use crate::{Message, Sent, SwarmError, Upload};

/// How long a dilution may take to show.
const DILUTION_WAIT: Duration = Duration::from_secs(30);

impl StampKeeper {
    /// Stores content under the kept batch; see [`crate::Bee::upload`]. A full batch is diluted once.
    pub async fn upload(&self, data: impl Into<Bytes>, upload: Upload) -> Result<SwarmRef, SwarmError> {
        let data = data.into();
        self.with_room(async |batch| self.bee.upload(&batch, data.clone(), upload).await).await
    }

    /// Sends a message under the kept batch; see [`crate::Bee::send_message`]. A full batch is diluted once.
    pub async fn send_message(&self, message: &Message) -> Result<Sent, SwarmError> {
        self.with_room(async |batch| self.bee.send_message(message, &batch).await).await
    }

    async fn with_room<T>(
        &self,
        work: impl AsyncFn(BatchId) -> Result<T, SwarmError>,
    ) -> Result<T, SwarmError> {
        let batch = self.resolve().await?;
        let seen = *self.rescues.lock().await;
        match work(batch).await {
            Err(SwarmError::StampFull(_)) if self.config.manage && !self.config.dry_run => {
                self.rescue(&batch, seen).await?;
                work(batch).await
            }
            other => other,
        }
    }

    /// Dilutes a full batch by one, unless another caller did since `seen` was read.
    async fn rescue(&self, batch: &BatchId, seen: u64) -> Result<(), SwarmError> {
        let mut rescues = self.rescues.lock().await;
        if *rescues != seen {
            return Ok(());
        }
        let stamp = self.bee.stamp(batch).await?;
        if stamp.depth >= self.config.max_depth {
            return Err(SwarmError::StampFull(*batch));
        }
        let depth = stamp.depth + 1;
        warn!(%batch, depth, "the batch is full, diluting");
        self.bee.dilute(batch, depth).await?;
        self.wait_depth(batch, depth).await?;
        *rescues += 1;
        Ok(())
    }

    async fn wait_depth(&self, batch: &BatchId, depth: u8) -> Result<(), SwarmError> {
        let clock = self.bee.clock();
        let ends = clock.unix_millis().saturating_add(DILUTION_WAIT.as_millis() as u64);
        loop {
            match self.bee.stamp(batch).await {
                Ok(stamp) if stamp.depth >= depth => return Ok(()),
                Err(error) if !error.is_retryable() => return Err(error),
                _ if clock.unix_millis() >= ends => return Err(SwarmError::StampFull(*batch)),
                _ => clock.sleep(POLL).await,
            }
        }
    }
}
