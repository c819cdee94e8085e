//! Fetching, opening and checking a request.

use std::time::Duration;

use bytes::Bytes;
use t4t_crypto::{SealingKey, seal};
use t4t_inference::{InferenceRequest, Kind, RequestFault};
use t4t_protocol::{RequestPayload, output_cap};
use t4t_store::selling::SellingJob;
use t4t_types::EncryptionKey;

use crate::carriage::{BudgetShare, Courier, CourierError, Fetched};

/// A request that was opened and belongs to its job.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: InferenceRequest,
    /// What to seal the answer to.
    pub(super) client_key: EncryptionKey,
    /// The most completion tokens that the escrow pays for; `None` where they cost nothing.
    pub(super) max_completion_tokens: Option<u64>,
    /// Kept until the request has a slot: from then on, slots bound how many there are.
    pub(super) room: Option<BudgetShare>,
}

/// Why a job's request can't be served.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the request could not be fetched: {0}")]
    Fetch(#[from] CourierError),
    #[error("the request could not be opened")]
    Sealed,
    #[error("the request is not one: {0}")]
    Malformed(String),
    /// What could be read as another request than was paid; its client is told.
    #[error("{fault}")]
    Fault { fault: RequestFault, client_key: EncryptionKey },
    #[error("the request belongs to another client")]
    ForeignClient,
    #[error("the request is for another model than the job")]
    ForeignModel,
    #[error("the payment does not cover the prompt")]
    Underpaid,
}

/// Fetches a job's request and checks it against the chain's terms.
pub(super) async fn fetch(
    courier: &dyn Courier,
    key: &SealingKey,
    row: &SellingJob,
    patience: Duration,
) -> Result<Request, RequestError> {
    let Fetched { sealed, share: room } = courier.download_within(row.request_hash, patience).await?;
    let payload = open(key, sealed)?;
    check(row, payload, room)
}

/// Opens a request; neither what was sealed nor what was opened is in memory after it, beside the request itself.
fn open(key: &SealingKey, sealed: Bytes) -> Result<RequestPayload, RequestError> {
    let opened = key.open(&sealed).map_err(|_| RequestError::Sealed)?;
    drop(sealed);
    RequestPayload::parse(Bytes::from_owner(opened))
        .map_err(|error| RequestError::Malformed(error.to_string()))
}

fn check(row: &SellingJob, payload: RequestPayload, room: BudgetShare) -> Result<Request, RequestError> {
    // Anybody can seal to us and post a copied reference: only the job's own client may have this served.
    if payload.client != row.client {
        return Err(RequestError::ForeignClient);
    }
    // A key that nothing can be sealed to would show only after the work is done.
    seal(&payload.client_key, &[]).map_err(|error| RequestError::Malformed(error.to_string()))?;
    if payload.model_id != row.model {
        return Err(RequestError::ForeignModel);
    }
    let client_key = payload.client_key;
    let asked = InferenceRequest::read(Kind::Chat, payload.openai_request.bytes().clone());
    let asked = asked.map_err(|fault| RequestError::Fault { fault, client_key })?;
    if asked.model() != Some(row.model.as_str()) {
        return Err(RequestError::ForeignModel);
    }
    let max_completion_tokens = output_cap(row.max_payment, &row.prices, asked.demand().prompt);
    if max_completion_tokens == Some(0) {
        return Err(RequestError::Underpaid);
    }
    Ok(Request { asked, client_key, max_completion_tokens, room: Some(room) })
}
