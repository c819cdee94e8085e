//! Bringing a request to where its provider reads it, and whose fault it is when that fails.

use std::time::Duration;

use bytes::Bytes;
use t4t_clock::timeout;
use t4t_protocol::job::BuyingStep;
use t4t_store::StoreError;
use t4t_store::buying::BuyingJob;
use t4t_swarm::SwarmError;
use t4t_types::SwarmRef;
use tracing::warn;

use super::answer::Answer;
use super::attempt::{Failed, unavailable};
use super::service::Buyer;
use crate::carriage::CourierError;

/// Attempts to upload a request whose payment is on its way.
const UPLOADS: u32 = 5;

/// How long a request that is stored before it is paid for may take: a row that is older than
/// [`super::sweep::NEVER_PAID_AFTER_MS`] counts as never paid, and submitting takes two minutes at most.
const STORED_WITHIN: Duration = Duration::from_secs(60);

impl Buyer {
    /// Whether a request is stored before it is paid for: it takes long to get to where a provider reads it, within an
    /// acknowledgement's window, or only the node says where it lies.
    pub(super) fn is_stored_first(&self, sealed: &[u8]) -> bool {
        self.courier.takes_long(sealed) || !self.courier.knows_reference(sealed)
    }

    /// Stores a request that nothing was paid for yet; where that fails, nothing is.
    pub(super) async fn store_first(&self, row: BuyingJob, sealed: Bytes) -> Result<BuyingJob, Failed> {
        let bytes = sealed.len();
        let storing = Box::pin(self.courier.upload_request(sealed));
        let reason = match timeout(&*self.clock, STORED_WITHIN, storing).await {
            Ok(Ok(reference)) if reference == row.request_hash => return Ok(row),
            Ok(Ok(reference)) => match self.moves_to(&row, reference).await {
                Ok(row) => return Ok(row),
                Err(error) => error.to_string(),
            },
            Ok(Err(error)) => error.to_string(),
            Err(t4t_clock::Elapsed) => format!("not in {} s", STORED_WITHIN.as_secs()),
        };
        let reason = format!(
            "the request of {bytes} bytes was not paid for, since this gateway's own Bee node did not bring it to the \
             network: {reason}: try again with a shorter one, or see `t4t doctor`"
        );
        self.record(&row, BuyingStep::PostFailed { reason: reason.clone() }).await;
        Err(unavailable(reason))
    }

    /// The row with the reference under which the node stored its request.
    async fn moves_to(&self, row: &BuyingJob, reference: SwarmRef) -> Result<BuyingJob, StoreError> {
        self.ledger.store.buying_set_request((row.request_id, row.attempt), reference).await?;
        Ok(BuyingJob { request_hash: reference, ..row.clone() })
    }

    /// A job that ended because nobody could read its request says nothing about its provider.
    pub(super) async fn blame_own_node(
        &self,
        end: Result<Answer, Failed>,
        is_unstored: bool,
    ) -> Result<Answer, Failed> {
        let (reason, is_free) = match end {
            Err(Failed::Provider(reason)) => (reason, false),
            Err(Failed::Free(reason)) => (reason, true),
            other => return other,
        };
        let own = self.courier.own_trouble().await;
        let own = own.map(|trouble| trouble.to_string()).or_else(|| {
            is_unstored
                .then(|| "the Bee node has not stored the request yet: see its log, and `t4t doctor`".into())
        });
        Err(match own {
            Some(own) => {
                unavailable(format!("this gateway's own node kept the request from its provider: {own}"))
            }
            None if is_free => Failed::Free(reason),
            None => Failed::Provider(reason),
        })
    }

    /// A row's request, sealed to its provider; `None` once nobody needs it any more.
    pub(super) async fn sealed_request(&self, row: &BuyingJob) -> Result<Option<Bytes>, StoreError> {
        self.ledger.store.buying_sealed_request((row.request_id, row.attempt)).await
    }

    /// Stores a request whose payment is on its way; `false` if the node does not.
    pub(super) async fn upload_request(&self, row: &BuyingJob, sealed: Option<Bytes>) -> bool {
        let Some(sealed) = sealed else { return true };
        for attempt in 1..=UPLOADS {
            match self.courier.upload_request(sealed.clone()).await {
                Ok(reference) if reference == row.request_hash => return true,
                Ok(reference) => {
                    warn!(request = %row.request_id, %reference, "the node stored the request under another reference");
                    return true;
                }
                Err(error) => {
                    warn!(request = %row.request_id, attempt, %error, "the request could not be uploaded");
                    if matches!(error, CourierError::Swarm(SwarmError::NotPassedOn { .. })) {
                        return false;
                    }
                    self.clock.sleep(Duration::from_millis(300 * u64::from(attempt))).await;
                }
            }
        }
        false
    }
}
