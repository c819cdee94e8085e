//! What clients tell of their jobs: where to tell them. A job is served from the chain alone.

use std::sync::Arc;

use t4t_protocol::JobNotify;
use t4t_protocol::job::SellingState;
use t4t_store::Store;
use t4t_store::notices::Notice;
use t4t_store::selling::SellingJob;
use t4t_types::Address;
use tracing::{debug, warn};

use super::announcer::Announcer;
use super::chain::Chain;
use crate::selling::tasks::spawn_for;
use crate::selling::verification::{LookRate, NoticeRate, ReplyRate};

/// For how long the chain is looked at closely after a notice: the job it tells of is due within a block or two.
const LOOK_CLOSELY_MS: u64 = 20_000;

/// Takes notices.
pub(super) struct Notices {
    pub(super) chain: Chain,
    pub(super) store: Store,
    pub(super) announcer: Announcer,
    pub(super) rate: NoticeRate,
    pub(super) looks: Arc<LookRate>,
    pub(super) replies: ReplyRate,
}

impl Notices {
    /// Keeps a notice, and tells its client what there is to tell.
    pub(super) async fn on_notice(&self, from: Address, notify: &JobNotify) {
        let now_ms = self.chain.clock.unix_millis();
        if !self.rate.take(from, now_ms) {
            return;
        }
        if notify.request_hash.routing_id() != notify.routing_id {
            debug!(%from, "a notice that contradicts itself was dropped");
            return;
        }
        let hint = async {
            if self.looks.take(now_ms) {
                self.chain.look_closely(LOOK_CLOSELY_MS).await;
            }
        };
        let notice = Notice {
            client: from,
            request_hash: notify.request_hash,
            client_key: notify.client_key,
            client_overlay: notify.client_overlay,
            // Nothing that a peer names is dialled, so there is nothing to keep.
            reply_url: None,
        };
        let kept = self.store.notice_insert(&notice, now_ms);
        let ((), kept) = futures_util::future::join(hint, kept).await;
        if let Err(error) = kept {
            warn!(error = &error as &dyn std::error::Error, "a notice could not be kept");
            return;
        }
        // Only the row of the very client that signed the notice: nobody else's answer is announced to it.
        match self.store.selling_by_request(from, notify.request_hash).await {
            Ok(Some(row)) if self.replies.take(row.job, row.created_at_ms, now_ms) => self.reply(row),
            Ok(_) => {}
            Err(error) => warn!(error = &error as &dyn std::error::Error, "a notice could not be matched"),
        }
    }

    /// Tells a client again what there is to tell; others' notices don't wait for that.
    fn reply(&self, row: SellingJob) {
        let announcer = self.announcer.clone();
        spawn_for(row.job, async move {
            if has_answer(&row) {
                announcer.announce(&row).await;
            } else if is_under_way(&row) {
                // Begun before the client said where to tell it.
                announcer.tell_begun(&row).await;
            }
        });
    }
}

fn has_answer(row: &SellingJob) -> bool {
    matches!(row.state, SellingState::Uploaded | SellingState::Claimed)
}

fn is_under_way(row: &SellingJob) -> bool {
    matches!(row.state, SellingState::Working | SellingState::Answered)
}
