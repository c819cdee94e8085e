//! Telling a provider of its job: a hint, since the chain tells it too.

use std::time::Duration;

use t4t_clock::timeout;
use t4t_protocol::job::BuyingState;
use t4t_protocol::{JobNotify, MessageKind, provider_topic};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use tracing::{debug, warn};

use super::service::Buyer;
use super::sweep::NEVER_PAID_AFTER_MS;

/// How often a notice is sent, the first time included: after that only the chain can tell the provider.
const NOTICES: u32 = 6;

impl Buyer {
    /// Tells the provider once the job is on the chain, again and again until it is known to have heard.
    pub(super) async fn notify(&self, row: &BuyingJob) {
        let body = self.notice(row).await;
        let signing = self.courier.sign(MessageKind::JobNotify, row.provider, &body);
        let mut rows = self.ledger.watch(row);
        let stored = self.reread(row).await;
        let mined = async {
            if stored.job.is_none() {
                let _row = rows.wait_for(|row| row.job.is_some() || row.state.is_final()).await;
            }
        };
        let (notice, ()) = futures_util::future::join(signing, mined).await;
        let notice = match notice {
            Ok(notice) => notice,
            Err(error) => {
                warn!(request = %row.request_id, %error, "no notice was sent; the provider finds the job on the chain");
                return;
            }
        };
        let topic = provider_topic(row.provider);
        for _ in 0..NOTICES {
            if let Err(error) = self.courier.send(&topic, row.provider_overlay, notice.clone()).await {
                debug!(request = %row.request_id, %error, "a notice could not be sent");
            }
            KillPoint::BuyingNoticed.pass();
            let heard = rows.wait_for(|row| !matches!(row.state, BuyingState::Planned | BuyingState::Posted));
            if timeout(&*self.clock, self.config.notice_resend, heard).await.is_ok() {
                return;
            }
        }
    }

    /// Brings the request of a row that was found after a restart to its provider.
    pub(super) async fn deliver_request(&self, row: &BuyingJob) {
        let sealed = match self.sealed_request(row).await {
            Ok(sealed) => sealed,
            Err(error) => {
                warn!(request = %row.request_id, error = &error as &dyn std::error::Error, "a request can't be read");
                return;
            }
        };
        if self.upload_request(row, sealed).await {
            // Where nothing was ever paid, nothing comes: then the row must not look as if somebody waited for it.
            let limit = Duration::from_millis(NEVER_PAID_AFTER_MS);
            let _told_or_not = timeout(&*self.clock, limit, Box::pin(self.notify(row))).await;
        }
    }

    async fn notice(&self, row: &BuyingJob) -> JobNotify {
        JobNotify {
            routing_id: row.request_hash.routing_id(),
            request_hash: row.request_hash,
            model_id: row.model.clone(),
            max_payment: row.max_payment,
            delivery_deadline: row.delivery_deadline,
            client_key: self.sealing_key.public(),
            client_overlay: self.overlay().await,
            reply_url: None,
            ext: None,
        }
    }
}
