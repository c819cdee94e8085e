//! Telling a provider of its job: a hint, since the chain tells it too.

use std::sync::Arc;
use std::time::Duration;

use t4t_clock::{SharedClock, timeout};
use t4t_protocol::job::BuyingState;
use t4t_protocol::{JobNotify, OutgoingMessage, provider_topic};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::EncryptionKey;
use tracing::{debug, warn};

use super::ledger::Ledger;
use super::overlay::OwnOverlay;
use crate::carriage::Courier;

/// How often a notice is sent, the first time included: after that only the chain can tell the provider.
const NOTICES: u32 = 6;

/// Tells providers of their jobs.
#[derive(Clone)]
pub(super) struct Notifier {
    pub(super) courier: Arc<dyn Courier>,
    pub(super) ledger: Ledger,
    /// What answers are sealed to.
    pub(super) client_key: EncryptionKey,
    /// Where answers may be announced.
    pub(super) overlay: OwnOverlay,
    pub(super) clock: SharedClock,
    /// How long to wait before a notice is sent again.
    pub(super) resend: Duration,
}

impl Notifier {
    /// Tells the provider once the job is on the chain, again and again until it is known to have heard.
    pub(super) async fn notify(&self, row: &BuyingJob) {
        let body = self.notice(row).await;
        let signing = self.courier.sign(row.provider, OutgoingMessage::JobNotify(body));
        let mut rows = self.ledger.watch(row);
        let stored = self.ledger.reread(row).await;
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
            if timeout(&*self.clock, self.resend, heard).await.is_ok() {
                return;
            }
        }
    }

    async fn notice(&self, row: &BuyingJob) -> JobNotify {
        JobNotify {
            routing_id: row.request_hash.routing_id(),
            request_hash: row.request_hash,
            model_id: row.model.clone(),
            max_payment: row.max_payment,
            delivery_deadline: row.delivery_deadline,
            client_key: self.client_key,
            client_overlay: self.overlay.get(&*self.courier).await,
            reply_url: None,
            ext: None,
        }
    }
}
