//! Single chunks.

use bytes::Bytes;
use reqwest::Method;
use t4t_types::{BatchId, SwarmRef};

use super::Bee;
use super::bytes::Stored;
use super::request::read_body;
use super::retry::failed;
use crate::SwarmError;

/// Longest chunk there is: a single-owner chunk.
const CHUNK_BYTES: usize = 4201;

impl Bee {
    /// Sends one chunk (`span ‖ payload`, or a single-owner chunk) to the network and returns its address.
    ///
    /// Tried again like an upload, but not after a timeout: the network may long have the chunk. The answer says that the node is done with it, which may be long after whoever it was for has it.
    pub async fn post_chunk(&self, batch: &BatchId, chunk: impl Into<Bytes>) -> Result<SwarmRef, SwarmError> {
        let chunk = chunk.into();
        if chunk.len() > CHUNK_BYTES {
            return Err(SwarmError::TooLarge { what: "the chunk", limit: CHUNK_BYTES });
        }
        let call = self
            .call("chunk upload", Method::POST, &["chunks"])
            .stamped(batch)
            .header("content-type", "application/octet-stream")
            .limit(self.shared.config.message_timeout)
            .body(chunk)
            .repeatable();
        Ok(self.retrying(failed, || self.json::<Stored>(&call)).await?.reference)
    }

    /// Reads one chunk (`span ‖ payload`); one attempt. The bytes are the node's word: hash them to be sure.
    pub async fn get_chunk(&self, address: &SwarmRef) -> Result<Bytes, SwarmError> {
        let call = self
            .call("chunk download", Method::GET, &["chunks", &address.to_string()])
            .limit(self.shared.config.download_timeout);
        let result = self.run(&call, |response| read_body(response, "the chunk", CHUNK_BYTES)).await;
        result.map_err(|error| match error {
            SwarmError::NotFound(_) => SwarmError::not_found(address),
            other => other,
        })
    }
}
