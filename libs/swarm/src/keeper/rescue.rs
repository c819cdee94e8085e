//! Uploads and messages that make room when their batch turns out to be full.

use std::time::Duration;

use bytes::Bytes;
use t4t_types::{BatchId, SwarmRef};
use tracing::warn;

use super::{POLL, StampKeeper};
use crate::chunk::Redundancy;
use crate::{Message, Sent, SwarmError, Upload};

/// How long a dilution may take to show.
const DILUTION_WAIT: Duration = Duration::from_secs(30);

impl StampKeeper {
    /// Stores content under the kept batch; see [`crate::Bee::upload`]. A full batch is diluted once.
    pub async fn upload(&self, data: impl Into<Bytes>, upload: Upload) -> Result<SwarmRef, SwarmError> {
        self.upload_at(data, upload, Redundancy::None).await
    }

    /// The same at a redundancy level. How long it takes tells whether the node passes anything on.
    pub async fn upload_at(
        &self,
        data: impl Into<Bytes>,
        upload: Upload,
        redundancy: Redundancy,
    ) -> Result<SwarmRef, SwarmError> {
        let data = data.into();
        let pushing = self.begin_push(data.len(), upload);
        let stored = self.upload_with_room(data, upload, redundancy).await;
        pushing.end(&stored);
        self.note(&stored);
        stored
    }

    async fn upload_with_room(
        &self,
        data: Bytes,
        upload: Upload,
        redundancy: Redundancy,
    ) -> Result<SwarmRef, SwarmError> {
        let (batch, seen) = self.room().await?;
        match self.bee.upload_at(&batch, data.clone(), upload, redundancy).await {
            Err(full) => {
                self.make_room(&batch, seen, full).await?;
                self.bee.upload_at(&batch, data, upload, redundancy).await
            }
            stored => stored,
        }
    }

    /// Sends a message under the kept batch; see [`crate::Bee::send_message`]. A full batch is diluted once.
    pub async fn send_message(&self, message: &Message) -> Result<Sent, SwarmError> {
        let pushing = self.begin_push(message.payload.len(), Upload::Direct);
        let sent = self.send_with_room(message).await;
        pushing.end(&sent);
        self.note(&sent);
        sent
    }

    async fn send_with_room(&self, message: &Message) -> Result<Sent, SwarmError> {
        let (batch, seen) = self.room().await?;
        match self.bee.send_message(message, &batch).await {
            Err(full) => {
                self.make_room(&batch, seen, full).await?;
                self.bee.send_message(message, &batch).await
            }
            sent => sent,
        }
    }

    /// The batch to use, and how often it was rescued before it is used.
    async fn room(&self) -> Result<(BatchId, u64), SwarmError> {
        let batch = self.resolve().await?;
        let seen = *self.rescues.lock().await;
        Ok((batch, seen))
    }

    /// Dilutes the batch if it is full and that is allowed; returns any other error as it is.
    async fn make_room(&self, batch: &BatchId, seen: u64, error: SwarmError) -> Result<(), SwarmError> {
        match error {
            SwarmError::StampFull(_) if self.config.manage && !self.config.dry_run => {
                self.rescue(batch, seen).await
            }
            other => Err(other),
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
