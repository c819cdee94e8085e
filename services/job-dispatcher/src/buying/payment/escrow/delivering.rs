//! Bringing a request, found after a restart, to its provider.

use std::time::Duration;

use t4t_clock::timeout;
use t4t_store::buying::BuyingJob;
use tracing::warn;

use super::NEVER_PAID_AFTER_MS;
use super::noticing::Notifier;
use super::uploading::Uploader;

/// Brings requests of an earlier life to their providers.
#[derive(Clone)]
pub(super) struct Redelivery {
    pub(super) uploader: Uploader,
    pub(super) notifier: Notifier,
}

impl Redelivery {
    /// Brings the request of a row that was found after a restart to its provider.
    pub(super) async fn deliver(&self, row: &BuyingJob) {
        let sealed = match self.uploader.sealed_request(row).await {
            Ok(sealed) => sealed,
            Err(error) => {
                warn!(request = %row.request_id, error = &error as &dyn std::error::Error, "a request can't be read");
                return;
            }
        };
        if self.uploader.upload(row, sealed).await {
            // Where nothing was ever paid, nothing comes: then the row must not look as if somebody waited for it.
            let limit = Duration::from_millis(NEVER_PAID_AFTER_MS);
            let _told_or_not =
                timeout(&*self.uploader.clock, limit, Box::pin(self.notifier.notify(row))).await;
        }
    }
}
