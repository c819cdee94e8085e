//! Content: uploads and downloads of any length.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use t4t_types::{BatchId, SwarmRef};
use tracing::debug;

use super::Bee;
use super::request::read_body;
use super::retry::{failed, jittered};
use crate::SwarmError;

/// How an upload reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// The call returns when the network has the content: right for what fits a few chunks, slow for megabytes.
    Direct,
    /// The call returns when the node has the content, which pushes it on by itself: readers may miss it for
    /// seconds.
    Deferred,
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
        let data = data.into();
        let deferred = if upload == Upload::Deferred { "true" } else { "false" };
        let call = self
            .call("upload", Method::POST, &["bytes"])
            .stamped(batch)
            .header("content-type", "application/octet-stream")
            .header("swarm-redundancy-level", "0")
            .header("swarm-deferred-upload", deferred)
            .limit(self.shared.config.upload_timeout + transfer_time(data.len()))
            .body(data)
            .repeatable();
        let again = |error: &SwarmError| failed(error) || matches!(error, SwarmError::TimedOut(_));
        Ok(self.retrying(again, || self.json::<Stored>(&call)).await?.reference)
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
        let ends = self.shared.clock.unix_millis().saturating_add(millis(patience.total));
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.download_once(reference, limit, patience).await {
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
        limit: usize,
        patience: Patience,
    ) -> Result<Bytes, SwarmError> {
        let mut call = self
            .call("download", Method::GET, &["bytes", &reference.to_string()])
            .limit(self.shared.config.download_timeout + transfer_time(limit));
        if let Some(retrieval) = patience.retrieval {
            call = call.header("swarm-chunk-retrieval-timeout", &go_duration(retrieval));
        }
        let result = self.run(&call, |response| read_body(response, "the content", limit)).await;
        result.map_err(|error| match error {
            SwarmError::NotFound(_) => SwarmError::not_found(reference),
            other => other,
        })
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
