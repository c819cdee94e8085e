//! Fetching and opening a sealed request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use t4t_crypto::SealingKey;
use t4t_protocol::RequestPayload;
use t4t_types::SwarmRef;

use crate::carriage::{BudgetShare, Courier, CourierError, Fetched};

/// An opened request.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) payload: RequestPayload,
    /// Kept until the request has a slot: from then on, slots bound how many there are.
    pub(crate) share: BudgetShare,
}

/// Why there is no request to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the request could not be fetched: {0}")]
    Fetch(#[from] CourierError),
    #[error("the request could not be opened")]
    Sealed,
    #[error("the request is not one: {0}")]
    Malformed(String),
}

/// Fetches requests that are sealed to this provider.
pub(crate) struct Fetcher {
    courier: Arc<dyn Courier>,
    key: SealingKey,
}

impl Fetcher {
    pub(crate) fn new(courier: Arc<dyn Courier>, key: SealingKey) -> Self {
        Self { courier, key }
    }

    /// Fetches and opens a request that may not be there yet.
    pub(crate) async fn fetch(&self, reference: SwarmRef, patience: Duration) -> Result<Opened, FetchError> {
        let Fetched { sealed, share } = self.courier.download_within(reference, patience).await?;
        Ok(Opened { payload: open(&self.key, sealed)?, share })
    }
}

/// Opens a request; neither what was sealed nor what was opened is in memory after it, beside the request itself.
fn open(key: &SealingKey, sealed: Bytes) -> Result<RequestPayload, FetchError> {
    let opened = key.open(&sealed).map_err(|_| FetchError::Sealed)?;
    drop(sealed);
    RequestPayload::parse(Bytes::from_owner(opened)).map_err(|error| FetchError::Malformed(error.to_string()))
}
