//! Content: uploads and downloads of any length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde::Deserialize;
use t4t_clock::timeout;
use t4t_types::{BatchId, SwarmRef};
use tracing::debug;

use super::Bee;
use super::request::ANSWER_BYTES;
use super::request::read_body;
use super::retry::{failed, jittered};
use crate::chunk::Redundancy;
use crate::{Admission, SwarmError};

/// How an upload reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// The call returns when the network has the content: right for what fits a few chunks, slow for megabytes.
    Direct,
    /// The call returns when the node has the content, which pushes it on by itself: readers may miss it for
    /// seconds.
    Deferred,
    /// Deferred, but the call returns when the node says that the network has all of it: right for megabytes that
    /// somebody reads at once. A node that passes nothing on is told from a slow one.
    Pushed,
}

/// How long a reader waits for content that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// All attempts together take at most this long.
    pub total: Duration,
    /// How long the node shall look for each chunk; the node's default is 30 s.
    pub retrieval: Option<Duration>,
}

impl Patience {
    /// One attempt.
    pub const fn once() -> Self {
        Self { total: Duration::ZERO, retrieval: None }
    }

    /// Attempts with growing pauses until `total` has passed. The last one may end later, by one download's limit
    /// at most.
    pub const fn up_to(total: Duration) -> Self {
        Self { total, retrieval: None }
    }
}

#[derive(Deserialize)]
pub(super) struct Stored {
    pub(super) reference: SwarmRef,
}

/// How far an upload has come, in chunks.
#[derive(Deserialize)]
struct Tag {
    /// All there are.
    split: u64,
    /// Those that the network had before.
    seen: u64,
    /// Those that the network has now.
    synced: u64,
}

/// How often a node is asked how far it has come with an upload.
const PUSH_POLL: Duration = Duration::from_millis(300);
/// A node that passed no chunk on for so long has no way to the network: one push takes at most 30 s there, and many are
/// under way at a time.
const PUSH_STALLED: Duration = Duration::from_secs(25);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Slowest rate that limits are reckoned with.
const BYTES_A_SECOND: usize = 100_000;

impl Bee {
    /// Stores `data` at redundancy level 0 and returns where.
    ///
    /// The reference is an address that the node names; it is not compared with one computed here. While the node
    /// is busy, faulty or away it is tried again: the same bytes lie at the same address under the same stamp.
    pub async fn upload(
        &self,
        batch: &BatchId,
        data: impl Into<Bytes>,
        upload: Upload,
    ) -> Result<SwarmRef, SwarmError> {
        self.upload_at(batch, data, upload, Redundancy::None).await
    }

    /// The same at a redundancy level: above 0, the reference of what is longer than a chunk is another one.
    ///
    /// # Errors
    /// [`SwarmError::NotPassedOn`] if the node took it and the network gets none of it ([`Upload::Pushed`]).
    pub async fn upload_at(
        &self,
        batch: &BatchId,
        data: impl Into<Bytes>,
        upload: Upload,
        redundancy: Redundancy,
    ) -> Result<SwarmRef, SwarmError> {
        let data = data.into();
        let (reference, tag) = self.post_bytes(batch, data.clone(), upload, redundancy).await?;
        if upload != Upload::Pushed {
            return Ok(reference);
        }
        // A node without tags can only be asked to answer when it is done.
        let pushed = match tag {
            Some(tag) => self.wait_pushed(tag, data.len()).await,
            None => Err(SwarmError::NotFound("the upload's tag".to_owned())),
        };
        match pushed {
            Err(SwarmError::NotFound(_)) => {
                self.post_bytes(batch, data, Upload::Direct, redundancy).await.map(|(reference, _)| reference)
            }
            pushed => pushed.map(|()| reference),
        }
    }

    async fn post_bytes(
        &self,
        batch: &BatchId,
        data: Bytes,
        upload: Upload,
        redundancy: Redundancy,
    ) -> Result<(SwarmRef, Option<u64>), SwarmError> {
        let deferred = if upload == Upload::Direct { "false" } else { "true" };
        let call = self
            .call("upload", Method::POST, &["bytes"])
            .stamped(batch)
            .header("content-type", "application/octet-stream")
            .header("swarm-redundancy-level", &redundancy.level().to_string())
            .header("swarm-deferred-upload", deferred)
            .limit(self.shared.config.upload_timeout + transfer_time(data.len()))
            .body(data)
            .repeatable();
        let again = |error: &SwarmError| failed(error) || matches!(error, SwarmError::TimedOut(_));
        let post = || {
            self.run(&call, |response| async move {
                let tag = response.headers().get("swarm-tag");
                let tag = tag.and_then(|tag| tag.to_str().ok()?.parse().ok());
                let body = read_body(response, "upload", ANSWER_BYTES).await?;
                let stored: Stored = serde_json::from_slice(&body)
                    .map_err(|source| SwarmError::Malformed { call: "upload", source: Some(source) })?;
                Ok((stored.reference, tag))
            })
        };
        self.retrying(again, post).await
    }

    /// Waits until the network has every chunk of an upload, for as long as it gets on.
    async fn wait_pushed(&self, tag: u64, bytes: usize) -> Result<(), SwarmError> {
        let call = self.call("tag", Method::GET, &["tags", &tag.to_string()]);
        let began_ms = self.shared.clock.unix_millis();
        let (mut most, mut moved_ms) = (0, began_ms);
        loop {
            let now_ms = self.shared.clock.unix_millis();
            match self.json::<Tag>(&call).await {
                Ok(tag) if tag.split > 0 && tag.synced.saturating_add(tag.seen) >= tag.split => return Ok(()),
                Ok(tag) if tag.synced > most => (most, moved_ms) = (tag.synced, now_ms),
                Err(error @ SwarmError::NotFound(_)) => return Err(error),
                // A node that does not answer for a moment may still push on.
                Ok(_) | Err(_) => {}
            }
            if now_ms.saturating_sub(moved_ms) >= millis(PUSH_STALLED) {
                let after = Duration::from_millis(now_ms.saturating_sub(began_ms));
                return Err(SwarmError::NotPassedOn { bytes, after });
            }
            self.shared.clock.sleep(PUSH_POLL).await;
        }
    }

    /// Reads the content at `reference`, at most `limit` bytes of it (longer content is [`SwarmError::TooLarge`]).
    ///
    /// Content that the network does not know takes a node 1 to 7 s to miss; what was uploaded deferred may become
    /// readable 10 s later. Missing content, faults of the node and broken connections are tried again with pauses
    /// from 0.2 to 5 s until `patience` ends; then the last error is returned.
    pub async fn download(
        &self,
        reference: &SwarmRef,
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError> {
        self.download_admitted(reference, patience, &UpTo(limit)).await
    }

    /// The same for content of a size that is let in first. The node is asked once: it says how long the content is, and
    /// its answer waits until there is room for it. An answer that was broken off would begin from nothing.
    ///
    /// # Errors
    /// As [`Self::download`]; what is not let in is [`SwarmError::TooLarge`].
    pub async fn download_admitted(
        &self,
        reference: &SwarmRef,
        patience: Patience,
        admission: &dyn Admission,
    ) -> Result<Bytes, SwarmError> {
        let ends = self.shared.clock.unix_millis().saturating_add(millis(patience.total));
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.download_once(reference, patience, admission).await {
                Ok(content) => return Ok(content),
                Err(error) => error,
            };
            let after_pause = self.shared.clock.unix_millis().saturating_add(millis(pause));
            if !error.is_retryable() || after_pause > ends {
                return Err(error);
            }
            debug!(%reference, %error, "not readable yet");
            self.shared.clock.sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn download_once(
        &self,
        reference: &SwarmRef,
        patience: Patience,
        admission: &dyn Admission,
    ) -> Result<Bytes, SwarmError> {
        let mut call = self
            .call("download", Method::GET, &["bytes", &reference.to_string()])
            .limit(self.shared.config.download_timeout);
        if let Some(retrieval) = patience.retrieval {
            call = call.header("swarm-chunk-retrieval-timeout", &go_duration(retrieval));
        }
        // Only the beginning has the call's limit: the rest comes as fast as the network has it.
        let opened = self.run(&call, |response| async move { Ok(response) }).await;
        let response = opened.map_err(|error| match error {
            SwarmError::NotFound(_) => SwarmError::not_found(reference),
            other => other,
        })?;
        self.read_admitted(response, admission).await
    }

    async fn read_admitted(
        &self,
        response: Response,
        admission: &dyn Admission,
    ) -> Result<Bytes, SwarmError> {
        let length = response.content_length().unwrap_or(0);
        let mut room = admission.admit(usize::try_from(length).unwrap_or(usize::MAX)).await?;
        let began_ms = self.shared.clock.unix_millis();
        let mut body = BytesMut::with_capacity(room.min(usize::try_from(length).unwrap_or(0)));
        let mut pieces = response.bytes_stream();
        loop {
            let limit = self.shared.config.download_timeout + transfer_time(room);
            let passed_ms = self.shared.clock.unix_millis().saturating_sub(began_ms);
            let left = limit.saturating_sub(Duration::from_millis(passed_ms));
            let piece = match timeout(&*self.shared.clock, left, pieces.next()).await {
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => return Err(SwarmError::Unreachable(error.without_url())),
                Ok(None) => return Ok(body.freeze()),
                Err(t4t_clock::Elapsed) => return Err(SwarmError::TimedOut(limit)),
            };
            let needed = body.len().saturating_add(piece.len());
            if needed > room {
                // More than was said.
                room = admission.admit(needed).await?;
            }
            body.extend_from_slice(&piece);
            admission.came(body.len());
        }
    }
}

/// Lets in what has at most so many bytes.
struct UpTo(usize);

#[async_trait::async_trait]
impl Admission for UpTo {
    async fn admit(&self, bytes: usize) -> Result<usize, SwarmError> {
        if bytes > self.0 {
            return Err(SwarmError::TooLarge { what: "the content", limit: self.0 });
        }
        Ok(self.0)
    }
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs((bytes / BYTES_A_SECOND) as u64)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as Go reads it; a bare number would be refused.
pub(super) fn go_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
